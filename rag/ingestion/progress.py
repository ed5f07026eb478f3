"""How far a file has come on its way into the library: what every door shows while an ingest runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

FileStage = Literal[
    "waiting", "reading", "splitting", "stored", "encoding", "indexed", "unchanged", "copy", "skipped", "refused"
]
"""In this order; the last five are ends. "indexed": searches find it. "copy": same bytes as another source."""

FINAL_STAGES: tuple[FileStage, ...] = ("indexed", "unchanged", "copy", "skipped", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """One source that has reached a stage."""

    source: str
    stage: FileStage
    note: str = ""
    """Why, if it was refused, skipped or is a copy; else what its reader remarked."""
    n_passages: int = 0
    """Of the source, from "stored" on; in "encoding", distinct texts."""
    n_encoded: int = 0


ProgressCallback = Callable[[FileProgress], None]


def ignore_progress(step: FileProgress) -> None:
    """Tells it to nobody."""
