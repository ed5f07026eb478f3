"""Shares and yes-or-no measures: Wilson's interval, and McNemar's exact test of two versions on the same questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054  # of the standard normal: 2.5 % lie above


@dataclass(frozen=True, slots=True)
class Proportion:
    """*k* of *n*, with the 95 % interval of the share."""

    k: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """0 to 1; 0 if *n* is 0."""
        return self.k / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class McNemarResult:
    """A comparison of two versions on the same yes-or-no questions."""

    n: int
    lost: int
    """Yes before, no after."""
    gained: int
    p: float
    """Two-sided: how often a fair coin would split the changed questions at least this unevenly."""


def wilson_interval(k: int, n: int) -> Proportion:
    """*k* of *n* with Wilson's 95 % score interval (1927), which stays within 0 and 1 near both ends.

    >>> share = wilson_interval(0, 20)
    >>> (round(share.low, 3), round(share.high, 3))
    (0.0, 0.161)
    """
    assert 0 <= k <= n, "a part is no larger than the whole"
    if n == 0:
        return Proportion(0, 0, 0.0, 1.0)
    share, squared = k / n, Z95**2 / n
    centre = share + squared / 2
    half = math.sqrt(share * (1 - share) * squared + squared**2 / 4)
    low = 0.0 if k == 0 else (centre - half) / (1 + squared)  # exact at the ends, where rounding would leave 1e-17
    high = 1.0 if k == n else (centre + half) / (1 + squared)
    return Proportion(k, n, low, high)


def mcnemar_test(before: Sequence[bool], after: Sequence[bool]) -> McNemarResult:
    """McNemar's test (1947), exact: only the questions that changed count, each as a fair coin.

    >>> mcnemar_test([True] * 6 + [False], [False] * 6 + [True]).p
    0.125
    """
    from scipy import stats

    pairs = list(zip(before, after, strict=True))
    lost = sum(was and not now for was, now in pairs)
    gained = sum(now and not was for was, now in pairs)
    p = float(stats.binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
    return McNemarResult(len(pairs), lost, gained, p)
