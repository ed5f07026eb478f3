"""A passage that was found → its card: what it says, if it is from, and what the answer quotes. All of it is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from rag.records import Citation, Hit, Passage, support_level
from ui.serializers.answers import format_duplicate_sources
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.components.escape import Span, escape_html, highlight, passage_title

EXCERPT = 900  # characters of a passage that are shown at once; the rest opens below it
LEAD = 250  # characters shown before the first marked sentence of a long passage


def render_card(hit: Hit, citations: Sequence[Citation]) -> str:
    """One passage as HTML: number, title, if it is from, scores, and its text with the quoted stretches marked."""
    passage = hit.passage
    quoted = [(c.start - passage.start, c.end - passage.start) for c in citations if c.passage_id == passage.passage_id]
    meta = [
        escape_html(passage.source),
        *([texts.PAGE.format(page=passage.page)] if passage.page else []),
        _hinted(texts.DENSE.format(score=hit.dense), texts.DENSE_HINT),
        _hinted(texts.LEXICAL.format(score=hit.lexical), texts.LEXICAL_HINT),
        *([_hinted(texts.READ.format(score=hit.rerank), texts.READ_HINT)] if hit.rerank is not None else []),
        *([_today(hit.feedback_boost)] if hit.feedback_boost else []),
        *([escape_html(texts.ALSO_IN.format(sources=", ".join(format_duplicate_sources(hit))))] if hit.also_in else []),
    ]
    return (
        f'<div class="nj-head"><span class="nj-n">{hit.rank}</span> '
        f'<span class="nj-title">{escape_html(passage_title(passage))}</span></div>'
        f"{_badge(citations, passage)}"
        f'<div class="nj-meta">{" · ".join(meta)}</div>'
        f"{_text(passage.text, quoted)}"
        f"{_beside(passage, citations)}"
    )


def render_removed_card(hit: Hit) -> str:
    """What is left of a passage that is no longer in the library."""
    return (
        f'<div class="nj-head"><span class="nj-n">{hit.rank}</span> <span class="nj-title">{said.REMOVED_TITLE}</span></div>'
        f'<div class="nj-meta">{said.REMOVED}</div>'
    )


def _beside(passage: Passage, citations: Sequence[Citation]) -> str:
    """Quotes from the text around a passage, which a language model has read with it."""
    quotes = [
        citation.quote
        for citation in citations
        if citation.passage_id == passage.passage_id
        and not passage.start <= citation.start <= citation.end <= passage.end
    ]
    return "".join(
        f'<div class="nj-text">{texts.BESIDE} <mark>{escape_html(quote)}</mark></div>'
        for quote in dict.fromkeys(quotes)
    )


def _badge(citations: Sequence[Citation], passage: Passage) -> str:
    """What the best of a passage's citations says of the answer; nothing if the answer does not name the passage."""
    supports = [citation.support for citation in citations if citation.passage_id == passage.passage_id]
    if not supports:
        return ""
    found = support_level(max(supports))
    return f'<div class="nj-badge nj-{found.replace(" ", "-")}">{said.BADGES[found]}</div>'


def _today(lift: float) -> str:
    text = texts.HIGHER_TODAY if lift > 0 else texts.LOWER_TODAY
    return _hinted(escape_html(text), texts.TODAY_HINT.format(lift=lift))


def _hinted(text: str, hint: str) -> str:
    return f'<span title="{hint}">{text}</span>'


def _text(text: str, quoted: Sequence[Span]) -> str:
    whole = f'<div class="nj-text">{highlight(text, quoted)}</div>'
    if len(text) <= EXCERPT:
        return whole
    begin = _word_start(text, min((start for start, _ in quoted), default=0) - LEAD)
    inside = [(start - begin, end - begin) for start, end in quoted]
    shown = highlight(text[begin : begin + EXCERPT], inside)
    excerpt = f'<div class="nj-text">{"… " * (begin > 0)}{shown} …</div>'
    return f"{excerpt}<details><summary>{texts.WHOLE}</summary>{whole}</details>"


def _word_start(text: str, place: int) -> int:
    """The first word's beginning at or after a place; 0 if the place is before the text.

    >>> _word_start("one two three", 2)
    4
    """
    return 0 if place <= 0 else text.find(" ", place) + 1
