"""Where a night is, step by step, in SQL: whoever opens a page sees it, and it is still there when the night is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rag.records import utc_now
from retriever_training.progress import ProgressReporter
from retriever_training.versions.night_store import NightStep, NightStore

MIN_WRITE_INTERVAL_S = 1.0  # between two writes of one step's progress


@dataclass(slots=True, kw_only=True)
class NightProgress:
    """Hands on what a night tells of itself, and keeps it with the night."""

    nights: NightStore
    night_id: str
    also: ProgressReporter
    """Who else watches: the command's bars."""
    steps: list[NightStep] = field(default_factory=list)
    _told_at: float = 0.0

    def enter(self, stage: str) -> None:
        """The next stage: learning, measuring, indexing."""
        self.nights.enter(self.night_id, stage)
        self._begin(NightStep(stage=stage, name="", total=0, done=0, began_at=utc_now()))

    def watch(self, name: str, total: int) -> Callable[[int], None]:
        """A step of the stage, as of `candidate.Watch`; one without work is not told."""
        also = self.also(name, total)
        if total <= 0:
            return also
        self._begin(
            NightStep(
                stage=self.steps[-1].stage if self.steps else "", name=name, total=total, done=0, began_at=utc_now()
            )
        )
        place = len(self.steps) - 1

        def advance(n: int) -> None:
            also(n)
            self.steps[place] = replace(self.steps[place], done=self.steps[place].done + n)
            if time.monotonic() - self._told_at >= MIN_WRITE_INTERVAL_S:
                self._tell()

        return advance

    def _begin(self, step: NightStep) -> None:
        self.steps.append(step)
        self._tell()

    def _tell(self) -> None:
        self.nights.tell(self.night_id, self.steps)
        self._told_at = time.monotonic()
