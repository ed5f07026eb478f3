"""Choices made on dev questions: how far to go from the base, and how much BM25 counts beside the new vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.fusion import normalised_lexical, top_fused

FloatArray = NDArray[np.float32]
Setting = TypeVar("Setting")

LEXICAL_WEIGHTS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)
MIN_DEV_QUESTIONS = 20  # with fewer the default stands: nine weights would fit noise


@dataclass(frozen=True, slots=True)
class DevSet:
    """Held-out questions for choosing, as rows of one passage matrix."""

    lexical: FloatArray
    """`(q, n)`, normalised BM25."""
    right: tuple[frozenset[int], ...]
    """Right passages of each question."""

    @classmethod
    def of(cls, lexical: FloatArray, right: Sequence[frozenset[int]]) -> DevSet:
        """From raw BM25 scores."""
        rows = [normalised_lexical(row) for row in lexical]
        return cls(np.stack(rows) if rows else np.zeros((0, 0), np.float32), tuple(right))


def best_weight(
    dev: DevSet, questions: FloatArray, passages: FloatArray, default: float, candidates: int = 100
) -> tuple[float, float]:
    """A lexical weight for the version whose vectors these are, and its mean nDCG@10 on dev (0 without questions).

    *questions* `(q, dim)` and *passages* `(n, dim)` have unit rows. Of the weights that are `nearly_best`, the nearest
    to *default* is taken.
    """
    values = by_weight(dev, questions, passages, default, candidates)
    chosen = min(nearly_best(values), key=lambda weight: abs(weight - default))
    return chosen, mean(values[chosen])


def by_weight(
    dev: DevSet, questions: FloatArray, passages: FloatArray, default: float, candidates: int = 100
) -> dict[float, NDArray[np.float64]]:
    """nDCG@10 of each dev question, `(q,)`, at each lexical weight that may be chosen."""
    dense = questions @ passages.T
    weights = {default, *LEXICAL_WEIGHTS} if len(dev.right) >= MIN_DEV_QUESTIONS else {default}
    return {weight: _ndcg_by_question(dev, dense, weight, candidates) for weight in sorted(weights)}


def nearly_best(values: Mapping[Setting, NDArray[np.float64]]) -> list[Setting]:
    """The settings whose mean lies within one standard error (of the paired difference) of the best one's.

    Among them the caller takes the plainest, as Breiman et al. (CART, 1984) choose the simplest tree: dev is small, and
    its best setting is mostly luck.
    """
    best = max(values.values(), key=mean)
    return [setting for setting, one in values.items() if _is_within_one_error(best - one)]


def mean(values: NDArray[np.float64]) -> float:
    """The mean; 0 of nothing."""
    return float(values.mean()) if len(values) else 0.0


def _is_within_one_error(behind: NDArray[np.float64]) -> bool:
    """Whether the mean of paired differences is at most its standard error."""
    return not len(behind) or bool(behind.mean() <= behind.std() / len(behind) ** 0.5 + 1e-12)


def _ndcg_by_question(dev: DevSet, dense: FloatArray, weight: float, candidates: int) -> NDArray[np.float64]:
    values = [
        ndcg(top_fused(cosines, words, weight, candidates, 10), right)
        for cosines, words, right in zip(dense, dev.lexical, dev.right, strict=True)
    ]
    return np.array(values, np.float64)


def ndcg(ranking: NDArray[np.intp], right: frozenset[int]) -> float:
    """nDCG of a ranking with right or wrong passages only (Järvelin and Kekäläinen 2002, discount log2).

    The same figure as ir-measures' nDCG, for a grid of hundreds of settings; reports use ir-measures.

    >>> ndcg(np.array([4, 7]), frozenset({7}))
    0.6309297535714575
    """
    gains = [1.0 / np.log2(rank + 2) for rank, row in enumerate(ranking) if int(row) in right]
    ideal = sum(1.0 / np.log2(rank + 2) for rank in range(min(len(right), len(ranking))))
    return float(sum(gains) / ideal) if ideal else 0.0
