"""Slow drift: the current version against the frozen one that everything began with, and on locked questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eval.statistics.number_wording import describe_change, describe_test, format_number
from eval.statistics.significance import PairedComparison, compare_paired
from rag.arrays import BoolArray, DoubleArray

FEWEST = 30  # locked questions; fewer are shown, but cause no warning


@dataclass(frozen=True, slots=True)
class Drift:
    """Three comparisons of nDCG@10, each None if there was too little data."""

    since_anchor: PairedComparison | None
    """The current version against the anchor, on the questions that may decide."""
    since_anchor_locked: PairedComparison | None
    """The current version against the anchor on the locked questions, which no decision ever used."""
    locked: PairedComparison | None
    """The candidate against the current version on the locked questions."""

    def warnings(self) -> Iterator[str]:
        """Sentences for people; nothing if nothing is wrong."""
        anchor, locked = self.since_anchor, self.locked
        if anchor and anchor.wins + anchor.losses and anchor.high < 0:
            yield (
                f"The current version is worse than the base it began with: nDCG@10 {describe_change(anchor)} "
                f"({describe_test(anchor)}). Roll back, or promote the base."
            )
        hidden = self.since_anchor_locked
        if anchor and hidden and hidden.n >= FEWEST and hidden.high < anchor.difference:
            yield (
                f"The current version's gain over the base is {format_number(anchor.difference)} on the questions that decide "
                f"and {format_number(hidden.difference)} on the locked ones, whose whole interval lies below: some of "
                "the gain is luck in choosing. Ask for fresh judgments."
            )
        if locked and locked.n >= FEWEST and locked.high < 0:
            yield (
                f"On {locked.n} locked questions the candidate is worse: nDCG@10 {describe_change(locked)} "
                f"({describe_test(locked)}). They do not decide; look at them before you trust the night."
            )


def measure_drift(
    anchor: DoubleArray | None,
    current: DoubleArray,
    candidate: DoubleArray | None,
    decisive: BoolArray,
    locked: BoolArray,
) -> Drift:
    """Computes the comparisons from nDCG@10, `(n,)` each; *decisive* and *locked* are masks of the same questions."""
    return Drift(
        since_anchor=_paired(anchor, current, decisive),
        since_anchor_locked=_paired(anchor, current, locked),
        locked=_paired(current, candidate, locked),
    )


def _paired(before: DoubleArray | None, after: DoubleArray | None, inside: BoolArray) -> PairedComparison | None:
    if before is None or after is None:
        return None
    whole = inside & np.isfinite(before) & np.isfinite(after)
    return compare_paired(before[whole], after[whole]) if whole.sum() >= 2 else None
