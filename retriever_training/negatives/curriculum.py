"""From easy to hard: which part of a row's negatives an epoch may draw from.

The difficulty of a negative is its cosine with the question, less that of the right passage, by the version that mines.
Below 0 the version ranks the right passage first already; above 0 it ranks the negative first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

INITIAL_SHARE = 0.5
"""The share of the pool that is open in the first epoch. The paper's 0.01 is for thousands of steps; nights have few epochs."""


def competence(epoch: int, epochs: int, start: float = INITIAL_SHARE) -> float:
    """Returns the share of the pool, easiest first, that is open in *epoch*, counted from 0: *start* first, 1 in the last.

    √(t · (1 - c₀²) / T + c₀²), so that less is added as the pool grows (Platanios et al., NAACL 2019:
    competence-based curriculum). There t counts steps, here epochs, and T is the last of them.

    >>> [round(competence(epoch, 3), 3) for epoch in range(3)]
    [0.5, 0.791, 1.0]
    >>> competence(0, 1)
    1.0
    """
    if epochs <= 1:
        return 1.0
    return min(1.0, math.sqrt(epoch * (1 - start**2) / (epochs - 1) + start**2))


def easiest_share(difficulties: Sequence[float], share: float, at_least: int) -> list[int]:
    """Returns the indexes of the easiest *share*, rounded up and never fewer than *at_least*, in the order given.

    >>> easiest_share([0.1, -0.4, -0.1, -0.3], 0.5, at_least=1)
    [1, 3]
    >>> easiest_share([0.1, -0.4, -0.1, -0.3], 0.5, at_least=3)
    [1, 2, 3]
    """
    n_open = max(at_least, math.ceil(share * len(difficulties)))
    by_difficulty = sorted(range(len(difficulties)), key=difficulties.__getitem__)
    return sorted(by_difficulty[:n_open])
