"""Fits when to say "I don't know": a logistic model and its threshold, from questions whose passages are known."""

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
"""The share of answerable questions that the threshold may decline: the operating point."""

COSINE_COLUMN, SCORE_GAP_COLUMN = 0, 3  # their columns among the values of `AnswerabilityFeatures`
N_FEATURES = 7
RIDGE = 1e-3  # keeps the weights finite if the examples are perfectly separable


def fit_abstention(
    examples: Sequence[AbstentionExample],
    weights: ArrayLike,
    before: AbstentionThreshold | None = None,
    ridge: float = RIDGE,
) -> AbstentionThreshold:
    """Fits both models to examples with weights `(n,)`; *ridge* pulls them towards *before*, whose threshold stays."""
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
    """Returns *bar* with the threshold below which `FALSE_DECLINE_RATE` of the answered *examples* lie."""
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
    """Fits logistic regression by Newton's method; the penalty is *ridge* / 2 · squared distance from *before* (or 0)."""
    inputs = np.column_stack([values[:, used], np.ones(len(values))])
    start = np.array([*(before.weights[at] for at in used), before.offset]) if before else np.zeros(len(used) + 1)
    fitted = start.copy()
    for _ in range(NEWTON_STEPS):
        predicted = sigmoid(inputs @ fitted)
        gradient = inputs.T @ (share * (predicted - right)) + ridge * (fitted - start)
        curvature = (inputs * (share * predicted * (1 - predicted))[:, None]).T @ inputs + ridge * np.eye(len(fitted))
        fitted = fitted - np.linalg.solve(curvature, gradient)
    weights = [0.0] * values.shape[1]
    for column, weight in zip(used, fitted[:-1].tolist(), strict=True):
        weights[column] = weight
    return LogisticModel(float(fitted[-1]), tuple(weights))
