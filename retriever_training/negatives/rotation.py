"""Taking turns: each epoch sees other negatives of a row's pool, as in Tevatron's training data (Gao et al. 2022)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Sequence


def take_turn(pool: Sequence[int], n: int, opened: Sequence[Container[int]]) -> list[int]:
    """The *n* that are due in the last of the epochs: those that came least often, first come in the pool first.

    *opened* says for each epoch so far which part of the pool it may draw from. If all is open this is the slice
    that starts at epoch · n modulo the pool's size and goes round to the beginning, as in Tevatron. A pool with fewer
    than *n* is given whole; there, unlike in Tevatron, nothing comes twice.

    >>> everything = range(10)
    >>> [take_turn([7, 8, 9], 2, [everything] * n_epochs) for n_epochs in (1, 2, 3, 4)]
    [[7, 8], [9, 7], [8, 9], [7, 8]]
    >>> take_turn([7, 8, 9], 1, [{8}, everything])
    [7]
    """
    came: Counter[int] = Counter()
    due: list[int] = []
    for pools in opened:
        due = sorted((candidate for candidate in pool if candidate in pools), key=came.__getitem__)[:n]
        came.update(due)
    return due


def hash_shuffled(pool: Sequence[int], item: str, seed: int) -> list[int]:
    """The pool in an order that belongs to the row *item*, so that an epoch holds easy and hard ones of all sources.

    It is an order of hashes: whoever joins or leaves the pool, the others keep theirs.

    >>> hash_shuffled([1, 2, 3, 4], "who?", 13)
    [1, 2, 4, 3]
    >>> hash_shuffled([1, 2, 4], "who?", 13)
    [1, 2, 4]
    """
    return sorted(pool, key=lambda one: hashlib.blake2b(f"{seed} {item} {one}".encode(), digest_size=8).digest())
