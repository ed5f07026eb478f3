"""Scores into probabilities: Platt's line through the log-odds, fitted on questions that nothing was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rag.arrays import BoolArray, DoubleArray

NEWTON_STEPS = 50
RIDGE = 1e-3  # holds the line where right and wrong are parted without an error


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """log-odds = slope · logit + offset."""

    slope: float = 1.0
    offset: float = 0.0

    def probabilities(self, logits: DoubleArray) -> DoubleArray:
        """`(n,)`, 0 to 1."""
        return sigmoid(self.slope * logits + self.offset)


def fit_platt(logits: DoubleArray, right: BoolArray) -> PlattScaling:
    """The line that makes `(n,)` logits the likeliest log-odds of being *right*; the plain one if it would fall.

    Platt 1999, with his targets (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2), by Newton's method.

    >>> line = fit_platt(np.array([-2.0, -1.0, 1.0, 2.0] * 50), np.array([False, False, False, True] * 50))
    >>> line.probabilities(np.array([-2.0, 2.0])).round(1).tolist()
    [0.0, 0.9]
    >>> fit_platt(np.array([1.0, -1.0]), np.array([False, True]))
    PlattScaling(slope=1.0, offset=0.0)
    """
    n_right = int(right.sum())
    if not 0 < n_right < len(right):
        return PlattScaling()
    targets = np.where(right, (n_right + 1) / (n_right + 2), 1 / (len(right) - n_right + 2))
    inputs = np.stack([logits, np.ones_like(logits)], axis=1)
    found = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        given = sigmoid(inputs @ found)
        gradient = inputs.T @ (given - targets) + RIDGE * found
        curvature = (inputs * (given * (1 - given))[:, None]).T @ inputs + RIDGE * np.eye(2)
        found -= np.linalg.solve(curvature, gradient)
    slope, offset = found.tolist()
    return PlattScaling(slope, offset) if slope > 0 and np.isfinite(found).all() else PlattScaling()


def sigmoid(logits: DoubleArray) -> DoubleArray:
    """1 / (1 + e^-x), without overflow.

    >>> sigmoid(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)), np.float64)


def log_odds(probabilities: DoubleArray) -> DoubleArray:
    """The logits of probabilities; those nearer than a millionth to 0 or 1 count as so near.

    >>> log_odds(np.array([0.5, 0.0])).round(2).tolist()
    [0.0, -13.82]
    """
    bounded = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(bounded / (1 - bounded)), np.float64)
