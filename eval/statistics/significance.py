"""Is a difference real? Paired differences per question with an interval and a p-value, Holm's correction, power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rag.arrays import DoubleArray
from rag.errors import TooLittleDataError

N_RESAMPLES = 9_999
LIGHT_BUDGET = 10_000_000  # as RESAMPLING_BUDGET, for the measures and slices that do not decide
RESAMPLING_BUDGET = (
    50_000_000  # questions × resamples: all 9,999 up to 5,000 questions (1.2 s on one core), fewer beyond
)
MOST_FOR_BCA = 10_000  # its jackknife is quadratic, and with this many questions it equals the percentile interval
BATCH = 2_000_000  # numbers held at once, 16 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """A comparison of two retrievers on the same questions: candidate minus current."""

    n: int
    mean_current: float
    mean_candidate: float
    difference: float
    low: float
    """The lower end of the 95 % interval of the difference."""
    high: float
    p: float
    """Two-sided: how often chance alone would swap labels into a difference this large."""
    wins: int
    """The number of questions on which the candidate is better."""
    ties: int
    losses: int
    detectable: float
    """The smallest true difference that n questions would show with a probability of 80 %."""


def compare_paired(
    current: ArrayLike, candidate: ArrayLike, seed: int = 13, budget: int = RESAMPLING_BUDGET
) -> PairedComparison:
    """Compares two retrievers on the same questions in the same order, each `(n,)`, float.

    The interval is a BCa bootstrap over questions (Efron, JASA 1987), p comes from a paired randomisation test
    (Smucker, Allan and Carterette, CIKM 2007; exact if there are few questions that differ), and the detectable
    difference is 2.8 · sd / √n (two-sided level 5 %, power 80 %). The same input and seed give the same result.

    Raises:
        TooLittleDataError: fewer than two questions.

    >>> result = compare_paired([0.5, 0.5, 1.0, 0.0], [1.0, 1.0, 1.0, 0.5])
    >>> (result.difference, result.p, result.wins, result.ties, result.losses)
    (0.375, 0.25, 3, 1, 0)
    """
    before, after = np.asarray(current, np.float64), np.asarray(candidate, np.float64)
    assert before.shape == after.shape and before.ndim == 1, "both retrievers answer the same questions, in one order"
    differences = np.round(after - before, 12)  # what differs only by rounding is a tie
    interval = mean_interval(differences, seed, budget)
    return PairedComparison(
        n=interval.n,
        mean_current=float(before.mean()),
        mean_candidate=float(after.mean()),
        difference=interval.mean,
        low=interval.low,
        high=interval.high,
        p=randomisation_p(differences, seed, budget),
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
        detectable=2.8 * float(differences.std(ddof=1)) / math.sqrt(interval.n),
    )


def mean_interval(values: ArrayLike, seed: int = 13, budget: int = RESAMPLING_BUDGET) -> Interval:
    """The mean of `(n,)` values and its 95 % BCa interval; of equal values, the interval is the value itself.

    If BCa has no answer, and beyond MOST_FOR_BCA values, the percentile interval is used instead.

    Raises:
        TooLittleDataError: fewer than two values.

    >>> mean_interval([0.5, 0.5, 0.5])
    Interval(n=3, mean=0.5, low=0.5, high=0.5)
    """
    numbers = np.asarray(values, np.float64)
    assert np.isfinite(numbers).all(), "a measure of a question is always a number"
    if len(numbers) < 2:
        raise TooLittleDataError(f"{len(numbers)} questions have no spread: an interval needs two or more")
    centre = float(numbers.mean())
    if np.ptp(numbers) < 1e-12:  # equal but for rounding; BCa would divide by zero
        return Interval(len(numbers), centre, centre, centre)
    low, high = _bootstrap(numbers, seed, budget)
    return Interval(len(numbers), centre, low, high)


def randomisation_p(differences: ArrayLike, seed: int = 13, budget: int = RESAMPLING_BUDGET) -> float:
    """The two-sided p-value of a mean difference under random signs; 1 if nothing differs.

    Questions without a difference weigh nothing under any sign, so they are left out first: exact, and quicker.
    Up to 13 questions that differ, every sign is tried; beyond, 9,999 random ones.

    >>> randomisation_p([0.25, 0.25, 0.25, 0.0])
    0.25
    """
    from scipy import stats

    numbers = np.asarray(differences, np.float64)
    numbers = numbers[numbers != 0.0]
    if len(numbers) < 2:  # one difference, with either sign, is as large as it is
        return 1.0
    result = stats.permutation_test(
        (numbers,),
        np.mean,
        permutation_type="samples",  # with one sample: random signs
        vectorized=True,
        n_resamples=_n_resamples(len(numbers), budget),
        batch=_batch(len(numbers)),
        rng=np.random.default_rng(seed),
    )
    return float(min(result.pvalue, 1.0))


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values of several tests made at once, in the order given (Holm, 1979).

    >>> holm_correction([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for position, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - position)))
        adjusted[index] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values of exploring many slices, in the order given (Benjamini and Hochberg, 1995).

    Of the slices below .10 so adjusted, one in ten is chance; so they are for looking, not for deciding.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(p_values)] if len(p_values) else []


def _bootstrap(numbers: DoubleArray, seed: int, work: int) -> tuple[float, float]:
    import warnings

    from scipy import stats

    options = {"vectorized": True, "batch": _batch(len(numbers)), "rng": np.random.default_rng(seed)}
    method = "BCa" if len(numbers) <= MOST_FOR_BCA else "percentile"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # answered by the percentile interval below
        result = stats.bootstrap(
            (numbers,), np.mean, n_resamples=_n_resamples(len(numbers), work), method=method, **options
        )
    if not np.isfinite(result.confidence_interval).all():
        result = stats.bootstrap(
            (numbers,), np.mean, n_resamples=0, method="percentile", bootstrap_result=result, **options
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _n_resamples(n: int, work: int) -> int:
    return int(min(N_RESAMPLES, max(999, work // n)))


def _batch(n: int) -> int:
    return max(1, BATCH // n)
