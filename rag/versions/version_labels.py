"""Short names for versions: v1 is the first that ever answered, v2 the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag.versions.registry import Promotion

SHORT_ID_LENGTH = 8  # characters of an id that people read and type
NAME_SEPARATOR = " · "


def version_numbers(history: Iterable[Promotion]) -> dict[str, int]:
    """encoder id → number, in the order in which they first answered; *history* as of `Registry.history`, in any order."""
    first_to_last = sorted(history, key=lambda one: one.promotion_id)
    return {
        encoder_id: n
        for n, encoder_id in enumerate(dict.fromkeys(version_id.encoder_id for version_id in first_to_last), 1)
    }


def version_name(encoder_id: str, numbers: Mapping[str, int]) -> str:
    """What people call a version, if space is short; one that never answered has no number.

    >>> version_name("3f2a", {"3f2a": 4}), version_name("3f2a9c0011", {})
    ('v4', '3f2a9c00')
    """
    return f"v{numbers[encoder_id]}" if encoder_id in numbers else encoder_id[:SHORT_ID_LENGTH]


def full_version_name(encoder_id: str, numbers: Mapping[str, int]) -> str:
    """Returns a version's label with the beginning of its id: the one way in which pages and tables name a version.

    >>> full_version_name("3f2a9c0011", {"3f2a9c0011": 4}), full_version_name("3f2a9c0011", {})
    ('v4 · 3f2a9c00', '3f2a9c00')
    """
    name = version_name(encoder_id, numbers)
    return f"{name}{NAME_SEPARATOR}{encoder_id[:SHORT_ID_LENGTH]}" if encoder_id in numbers else name


def short_version_name(full_name: str) -> str:
    """The name alone, for a line of many.

    >>> short_version_name("v4 · 3f2a9c00"), short_version_name("3f2a9c00")
    ('v4', '3f2a9c00')
    """
    return full_name.partition(NAME_SEPARATOR)[0]
