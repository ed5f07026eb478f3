"""Long lists in pieces that one SQL statement can take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

SQL_BATCH = 500  # SQLite takes 32,766 variables a statement; a few hundred rows are as fast


def batched(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Consecutive pieces of at most *size* items.

    >>> list(batched("abcde", 2))
    ['ab', 'cd', 'e']
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]
