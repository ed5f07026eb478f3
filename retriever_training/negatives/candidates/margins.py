"""How far below the positive a negative has to lie: the three margins that are in use."""

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
    """Absolute: in the score's unit. Relative: the share of the positive's score that has to lie between. Percent: the
    share that a negative may reach, 1 - relative."""


def highest_allowed_score(margin: Margin, positive: Scores) -> Scores:
    """The highest score that a negative may have next to a positive of score s⁺, elementwise.

    absolute: s⁺ - m · relative: s⁺ - m · |s⁺| (both as in sentence-transformers' `mine_hard_negatives`; absolute is
    TopK-MarginPos of NV-Retriever, arXiv 2407.15831) · percent: p · s⁺ (TopK-PercPos there), and where s⁺ is below 0,
    of which the paper does not speak, s⁺ - (1 - p) · |s⁺|, so that the bound never lies above the positive.

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
    """Whether each negative keeps the margin; one that lies exactly on it does. If s⁺ is infinite all do.

    >>> keeps_margin(Margin("absolute", 0.25), np.array([0.75, 0.75, np.inf]), np.array([0.5, 0.625, 0.75])).tolist()
    [True, False, True]
    """
    known = np.isfinite(positive)
    return ~known | (negative <= highest_allowed_score(margin, np.where(known, positive, 0.0)))
