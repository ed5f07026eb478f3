"""A passage that was found → its card: what it says, where it is from, and what the answer quotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rag.records import Citation, Hit, Passage, support_level
from ui.html.fragments import render_fragment
from ui.serializers.answers import format_duplicate_sources
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.components.escape import Span, highlight, passage_title

EXCERPT = 900  # characters of a passage that are shown at once; the rest opens below it
LEAD = 250  # characters shown before the first marked sentence of a long passage


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of a long passage that is shown at once."""

    text: Markup
    is_cut_before: bool


def render_card(hit: Hit, citations: Sequence[Citation]) -> str:
    """Renders one passage: number, title, source, scores, and its text with the quoted stretches marked."""
    passage = hit.passage
    quoted = [(c.start - passage.start, c.end - passage.start) for c in citations if c.passage_id == passage.passage_id]
    return render_fragment(
        "chat/card.html.j2",
        hit=hit,
        title=passage_title(passage),
        support=_support(citations, passage),
        badges=said.BADGES,
        duplicates=", ".join(format_duplicate_sources(hit)) if hit.also_in else "",
        text=highlight(passage.text, quoted),
        excerpt=_excerpt(passage.text, quoted),
        quotes_around=_quotes_around(passage, citations),
        texts=texts,
    )


def render_removed_card(hit: Hit) -> str:
    """Renders what is left of a passage that is no longer in the library."""
    return render_fragment("chat/removed_card.html.j2", rank=hit.rank, texts=said)


def _quotes_around(passage: Passage, citations: Sequence[Citation]) -> list[str]:
    """Returns quotes from the text around a passage, which a language model has read with it."""
    quotes = [
        citation.quote
        for citation in citations
        if citation.passage_id == passage.passage_id
        and not passage.start <= citation.start <= citation.end <= passage.end
    ]
    return list(dict.fromkeys(quotes))


def _support(citations: Sequence[Citation], passage: Passage) -> str:
    """Returns how well the best of a passage's citations supports the answer; empty if the answer does not cite it."""
    supports = [citation.support for citation in citations if citation.passage_id == passage.passage_id]
    return support_level(max(supports)) if supports else ""


def _excerpt(text: str, quoted: Sequence[Span]) -> Excerpt | None:
    """Returns the stretch of a long text around its first quote; None if the text is short."""
    if len(text) <= EXCERPT:
        return None
    begin = _word_start(text, min((start for start, _ in quoted), default=0) - LEAD)
    inside = [(start - begin, end - begin) for start, end in quoted]
    return Excerpt(highlight(text[begin : begin + EXCERPT], inside), begin > 0)


def _word_start(text: str, position: int) -> int:
    """Returns where the first word at or after a position begins; 0 if the position is before the text.

    >>> _word_start("one two three", 2)
    4
    """
    return 0 if position <= 0 else text.find(" ", position) + 1
