"""Choices made on dev questions: how far to go from the base, and how much BM25 counts alongside the new vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eval.retrieval.evaluate import BatchLexicalSearch, question_batches
from rag.arrays import FloatArray
from rag.retrieval.fusion import fuse_scores, normalise_bm25, top_positions

Setting = TypeVar("Setting")

LEXICAL_WEIGHTS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)
MIN_DEV_QUESTIONS = 20  # with fewer the default stays: nine weights would fit noise


@dataclass(frozen=True, slots=True)
class DevSet:
    """The dev questions over one passage matrix; passages are named by their row."""

    words: tuple[SparseBm25, ...]
    """The BM25 scores of each question."""
    right: tuple[frozenset[int], ...]
    """The right passages of each question."""

    @classmethod
    def of(cls, lexical: FloatArray, right: Sequence[frozenset[int]]) -> DevSet:
        """Makes the set from raw BM25 scores, `(q, n)`."""
        return cls(tuple(SparseBm25.of(row) for row in lexical), tuple(right))

    @classmethod
    def from_questions(
        cls, lexical: BatchLexicalSearch, questions: Sequence[str], right: Sequence[frozenset[int]]
    ) -> DevSet:
        """Makes the set from texts, one at a time: the scores of 1,000 questions over 100,000 passages are 400 MB."""
        return cls(tuple(SparseBm25.of(lexical.score_matrix([question])[0]) for question in questions), tuple(right))


@dataclass(frozen=True, slots=True)
class SparseBm25:
    """Normalised BM25 scores of one question, without the passages that share no word with it."""

    rows: NDArray[np.intp]
    """Ascending."""
    values: FloatArray

    @classmethod
    def of(cls, scores: FloatArray) -> SparseBm25:
        """Makes it from raw scores of all passages, `(n,)`.

        >>> SparseBm25.of(np.array([0.0, 4.0, 0.0, 1.0], np.float32)).at(np.array([1, 2, 3])).tolist()
        [1.0, 0.0, 0.25]
        """
        normalised = normalise_bm25(scores)
        rows = np.flatnonzero(normalised)
        return cls(rows, np.asarray(normalised[rows], np.float32))

    def top(self, k: int) -> NDArray[np.intp]:
        """Returns the rows of the *k* passages with the highest scores; fewer if fewer share a word with the question."""
        matching = self.values > 0
        return self.rows[matching][top_positions(self.values[matching], k)]

    def at(self, rows: NDArray[np.intp]) -> FloatArray:
        """Returns the scores of the passages in these rows."""
        scores = np.zeros(len(rows), np.float32)
        if len(self.rows):
            positions = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            known = self.rows[positions] == rows
            scores[known] = self.values[positions[known]]
        return scores


def choose_lexical_weight(
    dev: DevSet, questions: FloatArray, passages: FloatArray, default: float, candidates: int = 100
) -> tuple[float, float]:
    """Returns a lexical weight for the version with these vectors, and its mean nDCG@10 on dev (0 without questions).

    *questions* `(q, dim)` and *passages* `(n, dim)` have unit rows. Of the weights `within_one_standard_error` of the
    best, the nearest to *default* is taken.
    """
    values = ndcg_by_lexical_weight(dev, questions, passages, default, candidates)
    chosen = min(within_one_standard_error(values), key=lambda weight: abs(weight - default))
    return chosen, mean_or_zero(values[chosen])


def ndcg_by_lexical_weight(
    dev: DevSet, questions: FloatArray, passages: FloatArray, default: float, candidates: int = 100
) -> dict[float, NDArray[np.float64]]:
    """Returns nDCG@10 of each dev question, `(q,)`, at each lexical weight that may be chosen."""
    weights = sorted({default, *LEXICAL_WEIGHTS} if len(dev.right) >= MIN_DEV_QUESTIONS else {default})
    values = np.zeros((len(weights), len(dev.right)))
    for batch in question_batches(len(questions), len(passages)):
        dense = questions[batch] @ passages.T
        for cosines, index in zip(dense, range(len(dev.right))[batch], strict=True):
            values[:, index] = _ndcg_by_weight(cosines, dev.words[index], dev.right[index], weights, candidates)
    return dict(zip(weights, values, strict=True))


def _ndcg_by_weight(
    cosines: FloatArray, words: SparseBm25, right: frozenset[int], weights: Sequence[float], candidates: int
) -> list[float]:
    """Returns one question's nDCG@10 at each weight.

    This is `rag.retrieval.fusion.top_fused` in two steps, because its candidates do not depend on the weight.
    """
    union = np.union1d(top_positions(cosines, candidates), words.top(candidates))
    dense, lexical = cosines[union], words.at(union)
    return [binary_ndcg(union[top_positions(fuse_scores(dense, lexical, weight), 10)], right) for weight in weights]


def within_one_standard_error(values: Mapping[Setting, NDArray[np.float64]]) -> list[Setting]:
    """Returns the settings whose mean lies within one standard error (of the paired difference) of the best one's.

    The caller takes the plainest of them, as Breiman et al. (CART, 1984) choose the simplest tree: dev is small, and
    its best setting is mostly luck.
    """
    best = max(values.values(), key=mean_or_zero)
    return [setting for setting, score in values.items() if _is_within_one_error(best - score)]


def mean_or_zero(values: NDArray[np.float64]) -> float:
    """Returns the mean; 0 if there are no values."""
    return float(values.mean()) if len(values) else 0.0


def _is_within_one_error(behind: NDArray[np.float64]) -> bool:
    """Whether the mean of paired differences is at most its standard error."""
    return not len(behind) or bool(behind.mean() <= behind.std() / len(behind) ** 0.5 + 1e-12)


def binary_ndcg(ranking: NDArray[np.intp], right: frozenset[int]) -> float:
    """Returns nDCG of a ranking with right or wrong passages only (Järvelin and Kekäläinen 2002, discount log2).

    The figure equals ir-measures' nDCG and is used for grids of hundreds of settings; reports use ir-measures.

    >>> binary_ndcg(np.array([4, 7]), frozenset({7}))
    0.6309297535714575
    """
    gains = [1.0 / np.log2(rank + 2) for rank, row in enumerate(ranking) if int(row) in right]
    ideal = sum(1.0 / np.log2(rank + 2) for rank in range(min(len(right), len(ranking))))
    return float(sum(gains) / ideal) if ideal else 0.0
