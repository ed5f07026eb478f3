"""An interval for questions that belong together, such as those of one document: it counts documents, not questions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from eval.statistics.significance import Interval
from rag.errors import TooLittleDataError

LEAST = 10  # clusters; of fewer, resampling says nothing
DRAWS = 2_000_000  # clusters × resamples at once, 16 MB


def clustered_interval(values: ArrayLike, clusters: Sequence[Hashable], seed: int = 13) -> Interval:
    """The mean of `(n,)` values and the 95 % percentile interval under resampling whole clusters.

    Questions on one document rise and fall together, so the interval of independent questions is too narrow for other
    documents. `n` is the number of clusters.

    Raises:
        TooLittleDataError: fewer than LEAST clusters.

    >>> clustered_interval([1.0, 0.0] * 10, range(20)).n
    20
    """
    numbers = np.asarray(values, np.float64)
    place = {cluster: row for row, cluster in enumerate(dict.fromkeys(clusters))}
    if len(place) < LEAST:
        raise TooLittleDataError(f"{len(place)} documents can't be resampled: it takes {LEAST} or more")
    rows = [place[cluster] for cluster in clusters]
    sums, counts = np.bincount(rows, numbers), np.bincount(rows)
    rng = np.random.default_rng(seed)
    n_resamples = min(9_999, max(999, DRAWS // len(place)))
    drawn = rng.integers(0, len(place), (n_resamples, len(place)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(len(place), float(numbers.mean()), float(low), float(high))
