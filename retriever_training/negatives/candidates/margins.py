"""How far below the positive a negative must score: the three kinds of margin in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MarginKind = Literal["absolute", "relative", "percent"]
Scores = NDArray[Any]  # float32 or float64


@dataclass(frozen=True, slots=True)
class Margin:
    """A kind of margin and its size."""

    kind: MarginKind
    size: float
    """Absolute: in the score's unit. Relative: the gap, as a share of the positive's score. Percent: the share of the
    positive's score that a negative may reach, 1 - relative."""


def highest_allowed_score(margin: Margin, positive: Scores) -> Scores:
    """Returns the highest score that a negative may have if its positive scores s⁺, elementwise.

    absolute: s⁺ - m · relative: s⁺ - m · |s⁺| (both as in sentence-transformers' `mine_hard_negatives`; absolute is
    TopK-MarginPos of NV-Retriever, arXiv 2407.15831) · percent: p · s⁺ (TopK-PercPos there), and, if s⁺ is below 0, a
    case the paper does not cover, s⁺ - (1 - p) · |s⁺|, so that the bound never lies above the positive.

    >>> highest_allowed_score(Margin("absolute", 0.25), np.array([0.5, -0.5])).tolist()
    [0.25, -0.75]
    >>> highest_allowed_score(Margin("relative", 0.5), np.array([0.5, -0.5])).tolist()
    [0.25, -0.75]
    >>> highest_allowed_score(Margin("percent", 0.75), np.array([0.5, -0.5])).tolist()
    [0.375, -0.625]
    """
    if margin.kind == "absolute":
        return positive - margin.size
    return positive - (margin.size if margin.kind == "relative" else 1 - margin.size) * np.abs(positive)


def keeps_margin(margin: Margin, positive: Scores, negative: Scores) -> NDArray[np.bool_]:
    """Returns whether each negative keeps the margin; one exactly on the bound does. If s⁺ is infinite, all do.

    >>> keeps_margin(Margin("absolute", 0.25), np.array([0.75, 0.75, np.inf]), np.array([0.5, 0.625, 0.75])).tolist()
    [True, False, True]
    """
    known = np.isfinite(positive)
    return ~known | (negative <= highest_allowed_score(margin, np.where(known, positive, 0.0)))
