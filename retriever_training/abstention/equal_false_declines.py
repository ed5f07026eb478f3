"""Compares how well two versions know when to decline, by thresholds that decline equally many answerable questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eval.gate.guards import BeforeAndAfter
from eval.report.comparison import AbstentionScores
from retriever_training.abstention.fit import FALSE_DECLINE_RATE


def at_equal_false_decline_rate(
    before: AbstentionScores | None, after: AbstentionScores | None
) -> tuple[AbstentionScores | None, AbstentionScores | None]:
    """Returns the scores of both versions with thresholds that decline `FALSE_DECLINE_RATE` of the same questions.

    A map moves all cosines, so a threshold holds for one version only, and `calibrate` finds a new one after each
    promotion. At an equal share of false declines, what remains to compare is how well each version discriminates.
    """
    if before is None or after is None:
        return before, after
    return (
        replace(before, least=float(np.quantile(before.there, FALSE_DECLINE_RATE))),
        replace(after, least=float(np.quantile(after.there, FALSE_DECLINE_RATE))),
    )


def abstention_guard_pairs(
    before: AbstentionScores | None, after: AbstentionScores | None
) -> dict[str, BeforeAndAfter]:
    """Returns the guards' pairs: answered with the right passage in the library, declined without it."""
    if before is None or after is None:
        return {}

    def pair(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> BeforeAndAfter:
        return BeforeAndAfter(first.astype(np.float64), second.astype(np.float64))

    return {
        "answered": pair(before.there >= before.least, after.there >= after.least),
        "declined": pair(before.gone < before.least, after.gone < after.least),
    }
