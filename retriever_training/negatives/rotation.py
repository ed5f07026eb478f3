"""Taking turns: each epoch sees other negatives of a row's pool, as in Tevatron's training data (Gao et al. 2022)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Sequence


def take_turn(pool: Sequence[int], n: int, opened: Sequence[Container[int]]) -> list[int]:
    """Returns the *n* candidates due in the last epoch: those drawn least often so far, ties in the pool's order.

    *opened* holds, for each epoch so far, the part of the pool that it may draw from. If all of it is open, the result is
    the slice that starts at epoch · n modulo the pool's size and wraps around, as in Tevatron. A pool with fewer than *n*
    is returned whole; unlike in Tevatron, nothing is repeated then.

    >>> everything = range(10)
    >>> [take_turn([7, 8, 9], 2, [everything] * n_epochs) for n_epochs in (1, 2, 3, 4)]
    [[7, 8], [9, 7], [8, 9], [7, 8]]
    >>> take_turn([7, 8, 9], 1, [{8}, everything])
    [7]
    """
    n_drawn: Counter[int] = Counter()
    due: list[int] = []
    for allowed in opened:
        due = sorted((candidate for candidate in pool if candidate in allowed), key=n_drawn.__getitem__)[:n]
        n_drawn.update(due)
    return due


def hash_shuffled(pool: Sequence[int], item: str, seed: int) -> list[int]:
    """Returns the pool in an order that depends on the row *item*, so that an epoch holds easy and hard negatives of all
    sources.

    The order is by hash: if a candidate joins or leaves the pool, the others keep their order.

    >>> hash_shuffled([1, 2, 3, 4], "who?", 13)
    [1, 2, 4, 3]
    >>> hash_shuffled([1, 2, 4], "who?", 13)
    [1, 2, 4]
    """
    return sorted(
        pool, key=lambda candidate: hashlib.blake2b(f"{seed} {item} {candidate}".encode(), digest_size=8).digest()
    )
