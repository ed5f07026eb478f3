"""What a tier hands to the gate, and how a night reports its progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ProgressReporter = Callable[[str, int], Callable[[int], None]]
"""Called with a stage and its amount of work; returns the function to call with how much was just done."""


def no_progress(_stage: str, _total: int) -> Callable[[int], None]:
    """A `ProgressReporter` that reports nothing, for nights that nobody watches."""
    return lambda n: None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A trained model that is not registered yet."""

    folder: Path
    lexical_weight: float
    training_positives: list[str]
    """Ids of the passages that were right answers in training: the gate calls these "seen"."""
    n_encoded: int
    note: Mapping[str, Any]
