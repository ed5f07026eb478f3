"""Answers and passages → what the page shows. Everything that a document, a person or a model wrote is escaped here."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rag.library import Library
from rag.records import Answer, Checked, Citation, Hit, Passage, support_name
from ui.shapes import also_in
from ui.web import texts
from ui.web import texts_chat as said

Span = tuple[int, int]
EXCERPT = 900  # characters of a passage that are shown at once; the rest opens below it
MAX_TITLE = 160  # characters
LEAD = 250  # characters shown before the first marked sentence of a long passage
WRAPPED = 55  # a line at least this long that ends in mid-sentence was wrapped by its author's editor

_SOFT_BREAK = re.compile(rf"(?<=[^\n]{{{WRAPPED}}})(?<![.:;!?])\n(?=\S)(?![-*•–\d])")
_TURNS_TEXT = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # bidi overrides: text posing as other text


def escaped(text: str) -> str:
    r"""The text with every ASCII sign written as its number, so that it is shown as it is, whatever renders it.

    No tag, no image and no link comes of it, by HTML, by Markdown or from a bare address.

    >>> escaped("a <b>\n")
    'a &#60;b&#62;<br>'
    >>> escaped("![x](http://y)")
    '&#33;&#91;x&#93;&#40;http&#58;&#47;&#47;y&#41;'
    """
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character == "\n":
        return "<br>"
    if character in " \t":
        return " "
    if unicodedata.category(character) in ("Cc", "Cs") or character in _TURNS_TEXT:
        return ""
    return f"&#{ord(character)};" if character.isascii() and not character.isalnum() else character


def plain(text: str) -> str:
    r"""The text for places that show text as text, without what can't be sent or would turn it around.

    >>> plain("a\x00<b>\n")
    'a<b>\n'
    """
    return "".join(c for c in text if c == "\n" or c in " \t" or _escaped(c))


def as_message(text: str) -> str:
    """The text for a chat message: with `render_markdown=False` Gradio 6.31 still shows what is HTML as HTML.

    >>> as_message('<img src="x"> & more')
    '&lt;img src="x"&gt; &amp; more'
    """
    return html.escape(plain(text), quote=False)


# ---- passages


def card(hit: Hit, citations: Sequence[Citation]) -> str:
    """One passage as HTML: number, title, where it is from, scores, and its text with the quoted stretches marked."""
    passage = hit.passage
    quoted = [(c.start - passage.start, c.end - passage.start) for c in citations if c.passage_id == passage.passage_id]
    meta = [
        escaped(passage.source),
        *([texts.PAGE.format(page=passage.page)] if passage.page else []),
        _hinted(texts.DENSE.format(score=hit.dense), texts.DENSE_HINT),
        _hinted(texts.LEXICAL.format(score=hit.lexical), texts.LEXICAL_HINT),
        *([_hinted(texts.READ.format(score=hit.rerank), texts.READ_HINT)] if hit.rerank is not None else []),
        *([_today(hit.lift)] if hit.lift else []),
        *([escaped(texts.ALSO_IN.format(sources=", ".join(also_in(hit))))] if hit.also_in else []),
    ]
    return (
        f'<div class="nj-head"><span class="nj-n">{hit.rank}</span> '
        f'<span class="nj-title">{escaped(title(passage))}</span></div>'
        f"{_badge(citations, passage)}"
        f'<div class="nj-meta">{" · ".join(meta)}</div>'
        f"{_text(passage.text, quoted)}"
        f"{_beside(passage, citations)}"
    )


def removed_card(hit: Hit) -> str:
    """What is left of a passage that is no longer in the library."""
    return (
        f'<div class="nj-head"><span class="nj-n">{hit.rank}</span> <span class="nj-title">{said.REMOVED_TITLE}</span></div>'
        f'<div class="nj-meta">{said.REMOVED}</div>'
    )


def _beside(passage: Passage, citations: Sequence[Citation]) -> str:
    """Quotes from the text around a passage, which a language model has read with it."""
    quotes = [
        one.quote
        for one in citations
        if one.passage_id == passage.passage_id and not passage.start <= one.start <= one.end <= passage.end
    ]
    return "".join(
        f'<div class="nj-text">{texts.BESIDE} <mark>{escaped(quote)}</mark></div>' for quote in dict.fromkeys(quotes)
    )


def _badge(citations: Sequence[Citation], passage: Passage) -> str:
    """What the best of a passage's citations says of the answer; nothing where the answer does not name the passage."""
    supports = [one.support for one in citations if one.passage_id == passage.passage_id]
    if not supports:
        return ""
    found = support_name(max(supports))
    return f'<div class="nj-badge nj-{found.replace(" ", "-")}">{said.BADGES[found]}</div>'


def title(passage: Passage) -> str:
    """Title and headings, or the source where there is neither."""
    above = " › ".join(part for part in (passage.title, passage.heading) if part) or passage.source
    return above if len(above) <= MAX_TITLE else above[: MAX_TITLE - 1] + "…"


def _today(lift: float) -> str:
    text = texts.HIGHER_TODAY if lift > 0 else texts.LOWER_TODAY
    return _hinted(escaped(text), texts.TODAY_HINT.format(lift=lift))


def _hinted(text: str, hint: str) -> str:
    return f'<span title="{hint}">{text}</span>'


def _text(text: str, quoted: Sequence[Span]) -> str:
    whole = f'<div class="nj-text">{marked(text, quoted)}</div>'
    if len(text) <= EXCERPT:
        return whole
    begin = _word_start(text, min((start for start, _ in quoted), default=0) - LEAD)
    inside = [(start - begin, end - begin) for start, end in quoted]
    shown = marked(text[begin : begin + EXCERPT], inside)
    excerpt = f'<div class="nj-text">{"… " * (begin > 0)}{shown} …</div>'
    return f"{excerpt}<details><summary>{texts.WHOLE}</summary>{whole}</details>"


def _word_start(text: str, place: int) -> int:
    """The first word's beginning at or after a place; 0 where the place is before the text.

    >>> _word_start("one two three", 2)
    4
    """
    return 0 if place <= 0 else text.find(" ", place) + 1


def marked(text: str, quoted: Sequence[Span]) -> str:
    """The text escaped, with the spans marked; lines that an editor wrapped flow again.

    >>> marked("Ask. You can get it.", [(5, 20)])
    'Ask&#46; <mark>You can get it&#46;</mark>'
    """
    flowing = _SOFT_BREAK.sub(" ", text)  # as long as before, so the spans stay true
    shown, done = "", 0
    for start, end in sorted(quoted):
        start, end = max(start, done), min(end, len(text))  # noqa: PLW2901 - overlapping spans are cut to what is left
        if start < end:
            shown += f"{escaped(flowing[done:start])}<mark>{escaped(flowing[start:end])}</mark>"
            done = end
    return shown + escaped(flowing[done:])


# ---- around an answer


def quiet_line(answer: Answer, index_state: str, asked: str) -> str:
    """Which version answered, from how much, how fast, and by what kind of search."""
    line = texts.QUIET.format(version=answer.encoder_id, n=len(answer.hits), seconds=f"{answer.seconds:.2f} s",
                              index=texts.INDEX[index_state])  # fmt: skip
    cut = texts.RERANK_CUT if answer.rerank_is_cut else ""
    return " · ".join(part for part in (line, cut, searched_line(answer.question, asked)) if part)


def searched_line(question: str, asked: str) -> str:
    """What was searched for, where a follow-up was made to stand alone; else nothing.

    >>> searched_line("Who gets it? And nurses?", "And nurses?")
    'searched for: “Who gets it&#63; And nurses&#63;”'
    """
    return texts.SEARCHED_AS.format(question=escaped(question)) if question != asked.strip() else ""


def answer_text(answer: Answer) -> str:
    """What the chat shows: the text, and below it the reason where there is no answer, or what no passage supports."""
    below = [texts.DECLINED.format(reason=answer.reason.rstrip("."))] if answer.declined else []
    below += [_doubt(one) for one in answer.checked if one.found != "supported"]
    return plain("\n\n".join([answer.text, *below]))


def _doubt(sentence: Checked) -> str:
    told = texts.PARTLY_SUPPORTED if sentence.found == "partly" else texts.UNSUPPORTED
    return told.format(sentence=sentence.text)


# ---- negatives

FIRST_WORDS = 160  # characters of a candidate that are shown at once


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that one way of finding negatives found for a question, and what cleaning made of it."""

    way: str
    version: str
    """The version whose vectors found it; empty where none did."""
    rank: int
    """1-based, within the way."""
    score: float
    """In the way's unit; see `texts.SCORES`."""
    margin: float | None
    """The right passage's cosine with the question, less its own; None where no right passage is known."""
    removed: str | None
    """The reason."""
    passage: Passage


def negatives_shown(right: Sequence[Passage], found: Sequence[Found]) -> str:
    """The whole answer as HTML: the right passages, then a column for each way, and what the reasons mean."""
    ways: Mapping[str, list[Found]] = {way: [one for one in found if one.way == way] for way in texts.WAYS}
    also: dict[str, list[str]] = defaultdict(list)
    for one in found:
        also[one.passage.passage_id].append(one.way)
    empty_last = sorted(ways, key=lambda way: not ways[way])
    columns = "".join(_way(way, ways[way], also, checked=bool(right)) for way in empty_last)
    return f'<div class="nj-looked">{_right(right)}<div class="nj-ways">{columns}</div>{_reasons(found)}</div>'


def _right(right: Sequence[Passage]) -> str:
    if not right:
        return f'<div class="nj-unjudged"><h2>{texts.NO_RIGHT_PASSAGE}</h2><p>{escaped(texts.CAN_NOT_KNOW)}</p></div>'
    cards = "".join(
        f'<div class="nj-card nj-right">{_fate("right", texts.RIGHT)}'
        f'<div class="nj-title">{escaped(title(passage))}</div>{_opening_words(passage)}</div>'
        for passage in right
    )
    return (
        f'<h2>{texts.RIGHT_PASSAGES}</h2><div class="nj-rights">{cards}</div><p class="nj-hint">{texts.MARGIN_HINT}</p>'
    )


def _way(way: str, found: Sequence[Found], also: Mapping[str, Sequence[str]], *, checked: bool) -> str:
    name, what, nothing = texts.WAYS[way]
    n_kept = sum(one.removed is None for one in found)
    count = (texts.N_FOUND if checked else texts.N_UNCHECKED).format(found=len(found), kept=n_kept)
    cards = "".join(
        candidate_card(one, [other for other in also[one.passage.passage_id] if other != way], checked=checked)
        for one in found
    )
    below = (
        f'<p class="nj-count">{count}</p>{cards}'
        if found
        else f'<p class="nj-none">{nothing or texts.NOTHING_FOUND}</p>'
    )
    return f'<div class="nj-way nj-way-{way}"><h2>{name}</h2><p class="nj-what">{what}</p>{below}</div>'


def candidate_card(one: Found, also: Sequence[str], *, checked: bool) -> str:
    """One candidate as HTML: rank, title, scores, what became of it, and its first words.

    *also* are the other ways that found it; *checked*: a right passage is known, so that "kept" means something.
    """
    meta = [
        *([texts.SCORES[one.way].format(score=one.score)] if one.way in texts.SCORES else []),
        *([texts.MARGIN.format(margin=round(one.margin, 2) + 0.0)] if one.margin is not None else []),
        *([escaped(texts.FOUND_BY.format(version=one.version))] if one.way == "earlier" else []),
        *([texts.ALSO_FOUND.format(ways=", ".join(texts.WAYS[way][0] for way in also))] if also else []),
    ]
    if one.removed:
        fate = _fate("removed", texts.REMOVED.format(reason=one.removed))
    else:
        fate = _fate("kept", texts.KEPT) if checked else _fate("unchecked", texts.UNCHECKED)
    return (
        f'<div class="nj-card nj-candidate">'
        f'<div class="nj-head"><span class="nj-n">{one.rank}</span> '
        f'<span class="nj-title">{escaped(title(one.passage))}</span></div>{fate}'
        f'<div class="nj-meta">{" · ".join(meta)}</div>{_opening_words(one.passage)}</div>'
    )


def _fate(kind: str, text: str) -> str:
    """What became of a passage, told by a sign (in the style sheet), words and colour."""
    return f'<div class="nj-fate nj-{kind}">{escaped(text)}</div>'


def _opening_words(passage: Passage) -> str:
    text = passage.text
    whole = f'<div class="nj-text">{marked(text, ())}</div>'
    if len(text) <= FIRST_WORDS:
        return whole
    end = text.rfind(" ", 0, FIRST_WORDS)
    first = text[: end if end > 0 else FIRST_WORDS]
    return f'<div class="nj-text">{marked(first, ())} …</div><details><summary>{texts.WHOLE}</summary>{whole}</details>'


def _reasons(found: Sequence[Found]) -> str:
    given = {one.removed for one in found if one.removed}
    told = [
        f"<li><strong>{escaped(start)}</strong>{escaped(': ' + meaning)}</li>"
        for start, meaning in texts.REASONS.items()
        if any(reason == start or reason.startswith(start + " ") for reason in given)
    ]
    return f'<div class="nj-why"><h2>{texts.WHY_REMOVED}</h2><ul>{"".join(told)}</ul></div>' if told else ""


# ---- what to ask first

SAMPLED = 500  # passages looked at; ids are hashes, so the first ones are a fair sample
SHORTEST, LONGEST = 12, 80  # characters of a sample question


def sample_questions(library: Library, n: int = 4) -> list[str]:
    """Up to *n* things that the library can be asked: headings, those that are questions first, one a document."""
    leaves: dict[str, str] = {}
    for passage in islice(library.iterate(), SAMPLED):
        leaf = _leaf(passage)
        if SHORTEST <= len(leaf) <= LONGEST and (passage.document_id not in leaves or leaf.endswith("?")):
            leaves[passage.document_id] = leaf
    return sorted(dict.fromkeys(leaves.values()), key=lambda leaf: not leaf.endswith("?"))[:n]


def _leaf(passage: Passage) -> str:
    """The innermost heading, in one line.

    >>> _leaf(Passage("p", "d", "s", "Tests | When to apply", "", "", 0, 0))
    'When to apply'
    """
    parts = re.split(r" [|›] ", passage.heading or passage.title)
    return " ".join(plain(parts[-1]).split())
