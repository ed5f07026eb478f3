"""Stores a night's progress in SQL step by step: any page can show it, and it stays there after the night."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rag.records import utc_now
from retriever_training.progress import ProgressReporter
from retriever_training.versions.night_store import NightStep, NightStore

MIN_WRITE_INTERVAL_S = 1.0  # the shortest time between two writes of one step's progress


@dataclass(slots=True, kw_only=True)
class NightProgress:
    """Stores the progress that a night reports, and passes it on."""

    nights: NightStore
    night_id: str
    also: ProgressReporter
    """Gets the same reports: the command's progress bars."""
    steps: list[NightStep] = field(default_factory=list)
    _written_at: float = 0.0

    def enter(self, stage: str) -> None:
        """Begins the next stage: learning, measuring, indexing, deciding."""
        self.nights.enter(self.night_id, stage)
        self._begin(NightStep(stage=stage, name="", total=0, done=0, began_at=utc_now()))

    def watch(self, name: str, total: int) -> Callable[[int], None]:
        """Begins a step of the stage, as a `ProgressReporter`; a step without work is not stored."""
        also = self.also(name, total)
        if total <= 0:
            return also
        self._begin(
            NightStep(
                stage=self.steps[-1].stage if self.steps else "", name=name, total=total, done=0, began_at=utc_now()
            )
        )
        index = len(self.steps) - 1

        def advance(n: int) -> None:
            also(n)
            self.steps[index] = replace(self.steps[index], done=self.steps[index].done + n)
            if time.monotonic() - self._written_at >= MIN_WRITE_INTERVAL_S:
                self._write()

        return advance

    def _begin(self, step: NightStep) -> None:
        self.steps.append(step)
        self._write()

    def _write(self) -> None:
        self.nights.store_steps(self.night_id, self.steps)
        self._written_at = time.monotonic()
