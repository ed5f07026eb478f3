"""Takes false negatives out: passages that nobody judged but that are probably right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from retriever_training.negatives.mine import Candidate, Mine, Mined, View

MARGIN = 0.95
"""A negative's score is at most this share of the positive's (TopK-PercPos of NV-Retriever, arXiv 2407.15831)."""
NEAR_DUPLICATE = 0.97
"""Cosine from which two passages say the same."""


def clean(
    mine: Mine,
    found: Sequence[Sequence[Candidate]],
    views: Sequence[View],
    texts: Sequence[str],
    margin: float = MARGIN,
) -> list[Mined]:
    """Keeps, for each question, the candidates that no rule objects to; what is removed carries the reason.

    *texts* are the passages' texts, in the mine's order. People's rejections answer to the rule of near-duplicates
    only: a person who looked knows more than a margin.
    """
    plain = [_plain(text) for text in texts]
    return [_clean_one(mine, row, candidates, views, plain, margin) for row, candidates in enumerate(found)]


def count_removed(mined: Iterable[Mined]) -> dict[str, int]:
    """How many candidates went, by reason."""
    return dict(Counter(reason for one in mined for _, reason in one.removed))


def _clean_one(
    mine: Mine, row: int, candidates: Sequence[Candidate], views: Sequence[View], plain: Sequence[str], margin: float
) -> Mined:
    kept: list[Candidate] = []
    removed: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        reason = _objection(mine, row, candidate, views, plain, margin)
        if reason:
            removed.append((candidate, reason))
        else:
            kept.append(candidate)
    return Mined(tuple(kept), tuple(removed))


def _objection(
    mine: Mine, row: int, candidate: Candidate, views: Sequence[View], plain: Sequence[str], margin: float
) -> str | None:
    positives = mine.positives[row]
    if candidate.passage in positives:
        return "is a positive"
    for positive in positives:
        if plain[candidate.passage] == plain[positive]:
            return "says the same as a positive"
        similarity = views[0].passage_vectors[candidate.passage] @ views[0].passage_vectors[positive]
        if similarity >= NEAR_DUPLICATE:
            return "nearly says the same as a positive"
    if candidate.source == "feedback" or not positives:
        return None
    for view in views:
        if not _below_margin(view, row, candidate.passage, positives, margin):
            return f"as close as a positive, under {view.name}"
    return None


def _below_margin(view: View, row: int, passage: int, positives: frozenset[int], margin: float) -> bool:
    """s⁻ ≤ margin · s⁺, with the least similar positive; where that is below 0 its own score is the bound."""
    query = view.question_vectors[row]
    worst = min(float(view.passage_vectors[positive] @ query) for positive in positives)
    return float(view.passage_vectors[passage] @ query) <= (margin * worst if worst > 0 else worst)


def _plain(text: str) -> str:
    """The words of a text, so that case, marks and spaces make no difference.

    >>> _plain("Wash  your hands!") == _plain("wash your HANDS")
    True
    """
    return " ".join(re.findall(r"\w+", text.casefold()))
