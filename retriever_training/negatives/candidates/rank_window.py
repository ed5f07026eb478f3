"""Which of the candidates that a finder found are neither too hard nor too easy: by rank, by score, by margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retriever_training.negatives.candidates.margins import Margin, keeps_margin
from retriever_training.negatives.candidates.records import Candidate, MiningContext
from retriever_training.negatives.candidates.similarities import candidate_cosines, lowest_positive_cosines


@dataclass(frozen=True, slots=True, kw_only=True)
class RankWindow:
    """The bounds that a candidate must lie within; without bounds every candidate does.

    Scores are cosines of question and passage by the current version, whichever finder named the passage, so that a
    bound means the same for all of them.
    """

    skip: int = 0
    """The number of first ranks to leave out: these passages are the likeliest to be right."""
    last: int | None = None
    """The last rank, 1-based, inclusive."""
    min_score: float | None = None
    max_score: float | None = None
    margin: Margin | None = None
    """The margin to the least similar positive."""

    def n_asked(self, n: int) -> int:
        """How many candidates a finder must find for *n* of them to lie within the window."""
        return self.last if self.last is not None else self.skip + n


def within_window(
    mine: MiningContext, found: Sequence[Sequence[Candidate]], window: RankWindow
) -> list[list[Candidate]]:
    """Returns the candidates within the window, in order, each with the rank that its finder gave it.

    Ranks are the finder's own. `mine_hard_negatives` filters by scores and margins first and then skips the first
    `range_min` of what is left, so the more was filtered there, the deeper the same bounds skip.
    """
    questions, scores = candidate_cosines(mine.current, found)
    ranks = np.fromiter((candidate.rank for candidates in found for candidate in candidates), np.int64, len(questions))
    inside = ranks > window.skip
    if window.last is not None:
        inside &= ranks <= window.last
    if window.min_score is not None:
        inside &= scores >= window.min_score
    if window.max_score is not None:
        inside &= scores <= window.max_score
    if window.margin is not None:
        inside &= keeps_margin(window.margin, lowest_positive_cosines(mine.current, mine.positives)[questions], scores)
    kept = iter(inside.tolist())
    return [[candidate for candidate in candidates if next(kept)] for candidates in found]
