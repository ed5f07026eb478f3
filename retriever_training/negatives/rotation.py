"""Taking turns: each epoch sees other negatives of a row's pool, as in Tevatron's training data (Gao et al. 2022)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def turn(pool: Sequence[int], epoch: int, n: int) -> list[int]:
    """The *n* that are due in *epoch*, counted from 0: from place epoch · n on, and round to the beginning.

    A pool with fewer than *n* is given whole; nothing comes twice.

    >>> [turn([7, 8, 9], epoch, 2) for epoch in range(4)]
    [[7, 8], [9, 7], [8, 9], [7, 8]]
    >>> turn([7], 3, 2)
    [7]
    """
    start = epoch * n % len(pool) if pool else 0
    return [*pool[start:], *pool[:start]][:n]


def shuffled(pool: Sequence[int], item: str, seed: int) -> list[int]:
    """The pool in an order that belongs to the row *item*, so that an epoch holds easy and hard ones of all sources.

    It is an order of hashes: whoever joins or leaves the pool, the others keep theirs.

    >>> shuffled([1, 2, 3, 4], "who?", 13)
    [1, 2, 4, 3]
    >>> shuffled([1, 2, 4], "who?", 13)
    [1, 2, 4]
    """
    return sorted(pool, key=lambda one: hashlib.blake2b(f"{seed} {item} {one}".encode(), digest_size=8).digest())
