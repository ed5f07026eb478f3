"""Neighbours of the positive: passages that lie near a right one, whatever the question's words.

If a right passage and its neighbours differ in one fact, the question alone often does not lead to the neighbours,
although they are the passages that an answer would most easily be taken from by mistake.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from retriever_training.negatives.candidates.faiss_search import find_nearest
from retriever_training.negatives.candidates.records import Candidate, MiningContext, max_positives, rank_candidates

SearchAround = Callable[[list[int], int], tuple[NDArray[np.int64], FloatArray]]
"""Takes passages and how many to find around each; returns rows, -1 for none, and scores, best first."""


def find_positive_neighbours(mine: MiningContext, n: int) -> list[list[Candidate]]:
    """Returns the *n* passages with the highest cosine with any of the question's positives, without the positives."""
    return find_around_positives(mine, "neighbour", n, lambda passages, k: _nearest(mine, passages, k), mine.version)


def find_around_positives(
    mine: MiningContext, source: str, n: int, around: SearchAround, version: str = ""
) -> list[list[Candidate]]:
    """Returns the *n* passages with the highest score around any of a question's positives, without the positives.

    A passage that is right for several questions is searched around once.
    """
    right = sorted({row for positives in mine.positives for row in positives})
    rows, scores = around(right, n + max_positives(mine))
    near = dict(zip(right, zip(rows.tolist(), scores.tolist(), strict=True), strict=True))
    found = []
    for positives in mine.positives:
        best: dict[int, float] = {}
        for positive in sorted(positives):
            for row, score in zip(*near[positive], strict=True):
                if row >= 0 and row not in positives and score > best.get(row, -np.inf):
                    best[row] = score
        first = sorted(best, key=lambda row: (-best[row], row))[:n]
        found.append(rank_candidates(source, first, [best[row] for row in first], version))
    return found


def _nearest(mine: MiningContext, passages: list[int], k: int) -> tuple[NDArray[np.int64], FloatArray]:
    found = find_nearest(mine.passage_vectors[passages], mine.passage_vectors, k, seed=mine.seed)
    return found.rows, found.scores
