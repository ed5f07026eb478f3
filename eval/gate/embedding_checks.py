"""Are the vectors still sane: finite, of unit length, spread out, and without a hub that is near everything?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.gate.rules import DEFAULT_RULES, GateRules
from eval.statistics.number_wording import format_number

SAMPLE = 1_000  # vectors whose pairwise cosines are looked at


def embedding_faults(
    name: str, vectors: NDArray[np.float32], rules: GateRules = DEFAULT_RULES, seed: int = 13
) -> list[str]:
    """Returns what is wrong with `(n, dim)` vectors, which should be finite, of unit length and spread out; empty if
    nothing is.

    *name* opens the sentences. The spread is the mean cosine of all pairs among at most SAMPLE random rows.

    >>> embedding_faults("passage vectors", np.array([[1.0, 0.0], [0.0, 2.0]], np.float32))
    ['Veto: passage vectors should have length 1; 1 of 2 differ.']
    """
    if not len(vectors):
        return []
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    if n_broken := int((~np.isfinite(lengths)).sum()):
        return [f"Veto: {n_broken:,} of {len(vectors):,} {name} hold numbers that are not finite."]
    faults = []
    if n_off := int((np.abs(lengths - 1.0) > 1e-3).sum()):
        faults.append(f"Veto: {name} should have length 1; {n_off:,} of {len(vectors):,} differ.")
    if (cosine := mean_cosine(vectors, seed)) > rules.max_mean_cosine:
        faults.append(
            f"Veto: {name} have collapsed: two random ones have a cosine of {format_number(cosine)} on average, "
            f"above {format_number(rules.max_mean_cosine)}."
        )
    return faults


def mean_cosine(vectors: NDArray[np.float32], seed: int = 13) -> float:
    """The mean cosine of two different rows among at most SAMPLE random ones of `(n, dim)` unit rows; 0 of one row.

    >>> mean_cosine(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32))
    0.3333333333333333
    """
    n = min(len(vectors), SAMPLE)
    if n < 2:
        return 0.0
    some = vectors[np.random.default_rng(seed).choice(len(vectors), n, replace=False)].astype(np.float64)
    total = some.sum(axis=0)  # |Σv|² = Σ|v|² + Σ over pairs, so the pairs need no n × n matrix
    return float((total @ total - np.einsum("nd,nd->", some, some)) / (n * (n - 1)))


def hub_share(rankings: Iterable[Sequence[str]], right: Iterable[Mapping[str, int]], n_passages: int) -> float:
    """The largest share of questions that have one and the same wrong passage among their first hits.

    *right* has the grades of each question, in the order of *rankings*. First hits are the top ten, or the top
    twentieth of the *n_passages* there are if that is shorter: in a library of 20, ten hits are half of it.

    >>> hub_share([["hub", "a"], ["b", "hub"], ["hub"]], [{"a": 1}, {"b": 1}, {"hub": 1}], n_passages=40)
    0.6666666666666666
    """
    depth = max(1, min(10, n_passages // 20))
    counts: Counter[str] = Counter()
    n = 0
    for ranking, grades in zip(rankings, right, strict=True):
        n += 1
        counts.update(passage_id for passage_id in set(ranking[:depth]) if grades.get(passage_id, 0) <= 0)
    return max(counts.values(), default=0) / n if n else 0.0
