"""Short names for versions: v1 is the first that ever answered, v2 the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag.registry import Promotion

SHORT_ID = 8  # characters of the id of a version that never answered, and so has no number


def version_numbers(history: Iterable[Promotion]) -> dict[str, int]:
    """encoder id → number, in the order in which they first answered; *history* as of `Registry.history`, in any order."""
    first_to_last = sorted(history, key=lambda one: one.promotion_id)
    return {encoder_id: n for n, encoder_id in enumerate(dict.fromkeys(one.encoder_id for one in first_to_last), 1)}


def name_of(encoder_id: str, numbers: Mapping[str, int]) -> str:
    """What people call a version.

    >>> name_of("3f2a", {"3f2a": 4}), name_of("3f2a9c0011", {})
    ('v4', '3f2a9c00')
    """
    return f"v{numbers[encoder_id]}" if encoder_id in numbers else encoder_id[:SHORT_ID]
