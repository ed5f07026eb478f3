"""How well two versions know when to decline, each by a bar that declines as many of the same questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eval.gate.guards import Pair
from eval.report.comparison import Sureness
from retriever_training.abstention.fit import FALSE_DECLINES


def at_one_height(before: Sureness | None, after: Sureness | None) -> tuple[Sureness | None, Sureness | None]:
    """Both with a bar that declines FALSE_DECLINES of the questions, which are the same ones for both.

    A map moves all cosines, so a bar holds for one version only, and `calibrate` finds a new one after each promotion.
    At one share of false declines, what is left to compare is how well each tells apart.
    """
    if before is None or after is None:
        return before, after
    return (replace(before, least=float(np.quantile(before.there, FALSE_DECLINES))),
            replace(after, least=float(np.quantile(after.there, FALSE_DECLINES))))  # fmt: skip


def declining(before: Sureness | None, after: Sureness | None) -> dict[str, Pair]:
    """The guards' pairs: answered where the right passage is there, declined where it is taken away."""
    if before is None or after is None:
        return {}

    def pair(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Pair:
        return Pair(first.astype(np.float64), second.astype(np.float64))

    return {
        "answered": pair(before.there >= before.least, after.there >= after.least),
        "declined": pair(before.gone < before.least, after.gone < after.least),
    }
