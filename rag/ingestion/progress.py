"""How far a file has come on its way into the library: what every door shows while an ingest runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal[
    "waiting", "reading", "splitting", "stored", "encoding", "indexed", "unchanged", "copy", "skipped", "refused"
]
"""In this order; the last five are ends. "indexed": searches find it. "copy": same bytes as another source."""

ENDS: tuple[Stage, ...] = ("indexed", "unchanged", "copy", "skipped", "refused")


@dataclass(frozen=True, slots=True)
class Step:
    """One source that has reached a stage."""

    source: str
    stage: Stage
    note: str = ""
    """Why, where it was refused, skipped or is a copy; else what its reader remarked."""
    n_passages: int = 0
    """Of the source, from "stored" on; in "encoding", distinct texts."""
    n_encoded: int = 0


Tell = Callable[[Step], None]


def nobody(step: Step) -> None:
    """Tells it to nobody."""
