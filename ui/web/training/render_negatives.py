"""What each way of finding negatives found, and what cleaning made of it → what the page shows. All of it is escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.records import Passage
from retriever_training.negatives.reasons import RemovalCode, parse_removal_reason
from ui.html.fragments import escape_html
from ui.texts import shared as texts
from ui.texts.reasons import REMOVED, REMOVED_BECAUSE, describe_removal
from ui.web.components.escape import highlight, passage_title

FIRST_WORDS = 160  # characters of a candidate that are shown at once


@dataclass(frozen=True, slots=True, kw_only=True)
class FinderCandidates:
    """A passage that one way of finding negatives found for a question, and what cleaning made of it."""

    way: str
    version: str
    """The version whose vectors found it; empty if none did."""
    rank: int
    """1-based, within the way."""
    score: float
    """In the way's unit; see `texts.SCORES`."""
    margin: float | None
    """The right passage's cosine with the question, less its own; None if no right passage is known."""
    removed: str | None
    """The reason."""
    passage: Passage


def render_negatives(right: Sequence[Passage], found: Sequence[FinderCandidates]) -> str:
    """The whole answer as HTML: the right passages, then a column for each way, and what the reasons mean."""
    ways: Mapping[str, list[FinderCandidates]] = {
        way: [candidate for candidate in found if candidate.way == way] for way in texts.WAYS
    }
    also: dict[str, list[str]] = defaultdict(list)
    for candidate in found:
        also[candidate.passage.passage_id].append(candidate.way)
    empty_last = sorted(ways, key=lambda way: not ways[way])
    columns = "".join(_way(way, ways[way], also, checked=bool(right)) for way in empty_last)
    return f'<div class="nj-looked">{_right(right)}<div class="nj-ways">{columns}</div>{_reasons(found)}</div>'


def _right(right: Sequence[Passage]) -> str:
    if not right:
        return (
            f'<div class="nj-unjudged"><h2>{texts.NO_RIGHT_PASSAGE}</h2><p>{escape_html(texts.CAN_NOT_KNOW)}</p></div>'
        )
    cards = "".join(
        f'<div class="nj-card nj-right">{_fate("right", texts.RIGHT)}'
        f'<div class="nj-title">{escape_html(passage_title(passage))}</div>{_opening_words(passage)}</div>'
        for passage in right
    )
    return (
        f'<h2>{texts.RIGHT_PASSAGES}</h2><div class="nj-rights">{cards}</div><p class="nj-hint">{texts.MARGIN_HINT}</p>'
    )


def _way(way: str, found: Sequence[FinderCandidates], also: Mapping[str, Sequence[str]], *, checked: bool) -> str:
    name, what, nothing = texts.WAYS[way]
    n_kept = sum(candidate.removed is None for candidate in found)
    count = (texts.N_FOUND if checked else texts.N_UNCHECKED).format(found=len(found), kept=n_kept)
    cards = "".join(
        render_candidate(
            candidate,
            [other_source for other_source in also[candidate.passage.passage_id] if other_source != way],
            checked=checked,
        )
        for candidate in found
    )
    below = (
        f'<p class="nj-count">{count}</p>{cards}'
        if found
        else f'<p class="nj-none">{nothing or texts.NOTHING_FOUND}</p>'
    )
    return f'<div class="nj-way nj-way-{way}"><h2>{name}</h2><p class="nj-what">{what}</p>{below}</div>'


def render_candidate(one: FinderCandidates, also: Sequence[str], *, checked: bool) -> str:
    """One candidate as HTML: rank, title, scores, what became of it, and its first words.

    *also* are the other ways that found it; *checked*: a right passage is known, so that "kept" means something.
    """
    meta = [
        *([texts.SCORES[one.way].format(score=one.score)] if one.way in texts.SCORES else []),
        *([texts.MARGIN.format(margin=round(one.margin, 2) + 0.0)] if one.margin is not None else []),
        *([escape_html(texts.FOUND_BY.format(version=one.version))] if one.way == "earlier" else []),
        *([texts.ALSO_FOUND.format(ways=", ".join(texts.WAYS[way][0] for way in also))] if also else []),
    ]
    if one.removed:
        fate = _fate("removed", texts.REMOVED.format(reason=describe_removal(one.removed)))
    else:
        fate = _fate("kept", texts.KEPT) if checked else _fate("unchecked", texts.UNCHECKED)
    return (
        f'<div class="nj-card nj-candidate">'
        f'<div class="nj-head"><span class="nj-n">{one.rank}</span> '
        f'<span class="nj-title">{escape_html(passage_title(one.passage))}</span></div>{fate}'
        f'<div class="nj-meta">{" · ".join(meta)}</div>{_opening_words(one.passage)}</div>'
    )


def _fate(kind: str, text: str) -> str:
    """What became of a passage, told by a sign (in the style sheet), words and colour."""
    return f'<div class="nj-fate nj-{kind}">{escape_html(text)}</div>'


def _opening_words(passage: Passage) -> str:
    text = passage.text
    whole = f'<div class="nj-text">{highlight(text, ())}</div>'
    if len(text) <= FIRST_WORDS:
        return whole
    end = text.rfind(" ", 0, FIRST_WORDS)
    first = text[: end if end > 0 else FIRST_WORDS]
    return (
        f'<div class="nj-text">{highlight(first, ())} …</div><details><summary>{texts.WHOLE}</summary>{whole}</details>'
    )


def _reasons(found: Sequence[FinderCandidates]) -> str:
    reasons = [parse_removal_reason(candidate.removed) for candidate in found if candidate.removed]
    codes = {reason[0] for reason in reasons if reason}
    lines = [
        f"<li><strong>{escape_html(_general_label(code))}</strong>{escape_html(': ' + meaning)}</li>"
        for code, meaning in REMOVED_BECAUSE.items()
        if code in codes
    ]
    return f'<div class="nj-why"><h2>{texts.WHY_REMOVED}</h2><ul>{"".join(lines)}</ul></div>' if lines else ""


def _general_label(code: RemovalCode) -> str:
    """A reason's label for all its details."""
    return REMOVED[code].format(detail="…")
