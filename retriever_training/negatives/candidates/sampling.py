"""Which *n* of a window's candidates become negatives: the first, any, or those about as close as the positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retriever_training.negatives.candidates.records import Candidate, MiningContext
from retriever_training.negatives.candidates.similarities import candidate_cosines, lowest_positive_cosines


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose candidates from a window."""

    method: Literal["top", "uniform", "ambiguous"] = "top"
    a: float = 200.0
    """How narrowly "ambiguous" looks around the positive.

    SimANS takes 0.5 on scores that span about twenty times as much as cosines: 20² · 0.5."""
    b: float = 0.0
    """How far above the positive's score "ambiguous" centres."""


def sample_candidates(
    mine: MiningContext, found: Sequence[Sequence[Candidate]], n: int, sampling: Sampling, stream: str
) -> list[list[Candidate]]:
    """Returns *n* candidates of each question in the order of their ranks, or all if there are fewer.

    "ambiguous" draws without replacement by p ∝ exp(-a · (s⁻ - s⁺ - b)²), s the cosine with the question by the current
    version, s⁺ of the least similar positive (SimANS, Zhou et al. 2022, equation 4); if a question has no positive,
    it draws as "uniform" does. The same seed and *stream* draw the same, whatever else is drawn.
    """
    if sampling.method == "top":
        return [list(candidates[:n]) for candidates in found]
    questions, scores = candidate_cosines(mine.current, found)
    likely = np.zeros(len(questions))
    if sampling.method == "ambiguous":
        worst = lowest_positive_cosines(mine.current, mine.positives)[questions]
        likely = log_ambiguity(scores, np.where(np.isfinite(worst), worst, scores), sampling.a, sampling.b)
    # The n largest of log p + Gumbel noise are a sample without replacement (Vieira 2014; Kool et al. 2019).
    keys = likely + mine.generator(f"sample {stream}").gumbel(size=len(likely))
    ends = np.cumsum([len(candidates) for candidates in found]).tolist()
    return [
        [candidates[index] for index in sorted(np.argsort(-keys[end - len(candidates) : end])[:n].tolist())]
        for candidates, end in zip(found, ends, strict=True)
    ]


def log_ambiguity(
    negative: NDArray[np.float64], positive: NDArray[np.float64], a: float, b: float
) -> NDArray[np.float64]:
    """Returns log p of SimANS up to a constant: 0 if the negative scores *b* above the positive, less on both sides.

    >>> log_ambiguity(np.array([0.5, 0.25, 0.75]), np.array([0.5, 0.5, 0.5]), 16.0, 0.0).tolist()
    [-0.0, -1.0, -1.0]
    """
    difference: NDArray[np.float64] = -a * (negative - positive - b) ** 2
    return difference


def draw_distinct(generator: np.random.Generator, n_lines: int, n_values: int, n: int) -> NDArray[np.int64]:
    """Returns `(n_lines, n)`: each line holds numbers below *n_values*, drawn uniformly without replacement and padded
    with -1.

    If there are many more values than *n*, a line may hold a few fewer, because duplicates are dropped.
    """
    if n_values <= 4 * n:
        every = np.tile(np.arange(n_values), (n_lines, 1))
        drawn = generator.permuted(every, axis=1)[:, :n]
        return np.pad(drawn, ((0, 0), (0, max(0, n - n_values))), constant_values=-1)
    drawn = generator.integers(n_values, size=(n_lines, n))
    order = np.argsort(drawn, axis=1, kind="stable")
    in_order = np.take_along_axis(drawn, order, axis=1)
    again = np.zeros(drawn.shape, np.bool_)
    np.put_along_axis(again, order[:, 1:], in_order[:, 1:] == in_order[:, :-1], axis=1)
    return np.where(again, -1, drawn)
