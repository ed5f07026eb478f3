"""The cosines of candidates and positives with their questions, by one version."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray, IntArray
from retriever_training.negatives.candidates.records import Candidate, VersionView

Scores = NDArray[np.float64]
PAIRS_PER_BLOCK = 1024  # × 2 vectors of 384 numbers: 3 MB stay in the processor's cache; 16,384 took 2.4 times as long


def lowest_positive_cosines(view: VersionView, positives: Sequence[frozenset[int]]) -> Scores:
    """Returns `(q,)`: the lowest cosine of each question with one of its positives, infinite without one.

    It is the lowest, as in `mine_hard_negatives`, because a score below it is below that of every positive.
    """
    questions = np.repeat(np.arange(len(positives)), [len(rows) for rows in positives])
    rows = np.fromiter((row for rows in positives for row in sorted(rows)), np.int64, len(questions))
    worst = np.full(len(positives), np.inf)
    np.minimum.at(worst, questions, row_cosines(view.question_vectors, questions, view.passage_vectors, rows))
    return worst


def candidate_cosines(view: VersionView, found: Sequence[Sequence[Candidate]]) -> tuple[NDArray[np.int64], Scores]:
    """Returns the question's row of every candidate, one after the other, and their cosine, `(m,)` each."""
    questions = np.repeat(np.arange(len(found)), [len(candidates) for candidates in found])
    rows = np.fromiter(
        (candidate.passage for candidates in found for candidate in candidates), np.int64, len(questions)
    )
    return questions, row_cosines(view.question_vectors, questions, view.passage_vectors, rows)


def row_cosines(one: FloatArray, rows: IntArray, other: FloatArray, other_rows: IntArray) -> NDArray[np.float64]:
    """Returns `(m,)`: the dot products of pairs of rows from two matrices with rows of unit length.

    >>> axes = np.eye(2, dtype=np.float32)
    >>> row_cosines(axes, np.array([0, 1]), axes, np.array([0, 0])).tolist()
    [1.0, 0.0]
    """
    cosines = np.empty(len(rows))
    for start in range(0, len(rows), PAIRS_PER_BLOCK):
        block = slice(start, start + PAIRS_PER_BLOCK)
        cosines[block] = np.einsum("md,md->m", one[rows[block]], other[other_rows[block]])
    return cosines
