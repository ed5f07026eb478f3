"""Which of two versions people prefer: an exact test, and its result in words."""

from __future__ import annotations

import math

from rag.insights.blind_comparisons import PreferenceCounts

ENOUGH = 10  # comparisons with a preference; below, not even 9 of 9 would be worth more than a hint
SURE = 0.05


def sign_test_p(n_first: int, n_second: int) -> float:
    """The two-sided p-value of the exact binomial (sign) test: how often a fair coin splits as many at least this unevenly.

    >>> round(sign_test_p(8, 3), 4), sign_test_p(0, 0), sign_test_p(5, 5)
    (0.2266, 1.0, 1.0)
    """
    n, least = n_first + n_second, min(n_first, n_second)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    return min(1.0, float(2 * tail / 2**n))


def describe_preference(preferred: PreferenceCounts, first: str, second: str) -> str:
    """The sum of all comparisons in one sentence; *first* and *second* name the versions.

    >>> describe_preference(PreferenceCounts(3, 8, 2), "v16", "v17")
    'v17 was preferred 8 of 11 times (2 more were equal); p = 0.23: chance alone often does that.'
    >>> describe_preference(PreferenceCounts(1, 0, 0), "v16", "v17")
    'v16 was preferred 1 of 1 time; 10 are needed before it says anything.'
    """
    n = preferred.n_first + preferred.n_second
    equal = (
        f" ({preferred.n_equal} more {'was' if preferred.n_equal == 1 else 'were'} equal)" if preferred.n_equal else ""
    )
    if not n:
        return f"Nobody has preferred one of the two so far{equal}."
    ahead, most = (first, preferred.n_first) if preferred.n_first > preferred.n_second else (second, preferred.n_second)
    start = f"{ahead} was preferred {most} of {n} {'time' if n == 1 else 'times'}{equal}"
    if n < ENOUGH:
        return f"{start}; {ENOUGH} are needed before it says anything."
    p = sign_test_p(preferred.n_first, preferred.n_second)
    meaning = "chance alone seldom does that" if p <= SURE else "chance alone often does that"
    return f"{start}; p = {p:.2g}: {meaning}."
