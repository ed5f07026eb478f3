"""When to say "I don't know": a line through the signs, and the bar on it, from questions whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rag.arrays import DoubleArray
from rag.generation.abstention import AbstentionThreshold, LogisticModel
from retriever_training.abstention.leave_out_examples import AbstentionExample
from retriever_training.losses.platt import sigmoid

NEWTON_STEPS = 50
FALSE_DECLINE_RATE = 0.03
"""The share of answered questions that the bar may decline: the working point."""

COSINE_COLUMN, SCORE_GAP_COLUMN = 0, 3  # places among the values of the signs
N_FEATURES = 7
RIDGE = 1e-3  # holds a line where right and wrong are parted without an error


def fit_abstention(
    examples: Sequence[AbstentionExample],
    weights: ArrayLike,
    before: AbstentionThreshold | None = None,
    ridge: float = RIDGE,
) -> AbstentionThreshold:
    """The likeliest lines for `(n,)` weighted examples, held to those of *before* by *ridge*; its least stays."""
    values = np.array([example.signs.values() for example in examples]).reshape(-1, N_FEATURES)
    right = np.array([example.is_answered for example in examples])
    share = np.asarray(weights, np.float64)
    words = _fit(
        values,
        right,
        share=share,
        before=before.by_words if before else None,
        ridge=ridge,
        used=list(range(N_FEATURES)),
    )
    meaning = _fit(
        values,
        right,
        share=share,
        before=before.by_meaning if before else None,
        ridge=ridge,
        used=[COSINE_COLUMN, SCORE_GAP_COLUMN],
    )
    return AbstentionThreshold(words, meaning, before.least if before else 0.5)


def at_false_decline_rate(bar: AbstentionThreshold, examples: Sequence[AbstentionExample]) -> AbstentionThreshold:
    """The bar at the height that FALSE_DECLINES of the answered *examples* stay below."""
    sure = [bar.sureness(example.signs) for example in examples if example.is_answered]
    return replace(bar, least=float(np.quantile(sure, FALSE_DECLINE_RATE)))


def _fit(
    values: DoubleArray,
    right: NDArray[np.bool_],
    share: DoubleArray,
    before: LogisticModel | None,
    ridge: float,
    used: list[int],
) -> LogisticModel:
    """Logistic regression by Newton's method; the penalty is *ridge* / 2 · squared distance from *before* (or 0)."""
    inputs = np.column_stack([values[:, used], np.ones(len(values))])
    start = np.array([*(before.weights[at] for at in used), before.offset]) if before else np.zeros(len(used) + 1)
    found = start.copy()
    for _ in range(NEWTON_STEPS):
        given = sigmoid(inputs @ found)
        gradient = inputs.T @ (share * (given - right)) + ridge * (found - start)
        curvature = (inputs * (share * given * (1 - given))[:, None]).T @ inputs + ridge * np.eye(len(found))
        found = found - np.linalg.solve(curvature, gradient)
    weights = [0.0] * values.shape[1]
    for at, weight in zip(used, found[:-1].tolist(), strict=True):
        weights[at] = weight
    return LogisticModel(float(found[-1]), tuple(weights))
