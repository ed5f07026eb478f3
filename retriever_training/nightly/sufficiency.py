"""Whether there are enough judgments for a night, and what is missing: one rule for the night and for its forecast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from retriever_training.cold_start.pseudo_questions import draw_pseudo_questions
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.judgments.splits import GATE_SHARE
from retriever_training.tiers.night_plan import NightPlan

MIN_TRAIN_QUESTIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSufficiency:
    """How many questions there are to learn from and to decide by, and how many of each a night needs."""

    n_train: int
    """Training questions that somebody judged."""
    n_held_out: int
    """Held-out questions with a right passage."""
    min_train: int
    min_held_out: int
    n_pseudo_questions: int = 0
    """Questions that the library asks of itself, if the night may learn from them and has too few others."""

    @property
    def is_cold_start(self) -> bool:
        """Whether a night would learn from the library's own questions, because people gave too few."""
        return self.n_train < self.min_train and self.n_pseudo_questions > 0

    @property
    def is_sufficient(self) -> bool:
        """Whether a night would train at all."""
        return self.n_held_out >= self.min_held_out and (self.n_train >= self.min_train or self.is_cold_start)

    @property
    def n_judged(self) -> int:
        """Training and held-out questions together."""
        return self.n_train + self.n_held_out

    @property
    def n_needed(self) -> int:
        """Estimates how many questions there will be when a night can begin, as one in five is held out.

        >>> [
        ...     DataSufficiency(n_train=n_train, n_held_out=n_held_out, min_train=10, min_held_out=30).n_needed
        ...     for n_train, n_held_out in ((100, 20), (0, 31), (300, 40))
        ... ]
        [170, 41, 340]
        """
        more = max(self.min_held_out - self.n_held_out, 0) / GATE_SHARE
        return self.n_judged + max(math.ceil(more), self.min_train - self.n_train, 0)

    def missing(self) -> Iterator[str]:
        """Yields why no night can learn yet, in sentences; nothing if one can."""
        if self.is_sufficient:
            return
        yield (
            f"There are {self.n_train} training questions and {self.n_held_out} held-out ones with a right passage; "
            f"a night needs {self.min_train} and {self.min_held_out}. Nothing was trained: "
            "ask, vote, and the night tries again tomorrow."
        )
        n_missing = self.min_held_out - self.n_held_out
        if n_missing > 0 and self.n_pseudo_questions:
            yield (
                f"The library asks {self.n_pseudo_questions:,} questions of itself, some of which its passages may not "
                f'answer ("nightjar cold-start" shows them). A night learns from them once {n_missing} more held-out '
                "questions with a right passage can judge the result; one question in five is held out."
            )


def check_sufficiency(evidence: TrainingSnapshot, plan: NightPlan) -> DataSufficiency:
    """Counts what the snapshot holds, by the rules of the plan."""
    n_train, n_gate = len(evidence.asked("train")), len(evidence.held_out("gate"))
    short = n_train < MIN_TRAIN_QUESTIONS or n_gate < plan.rules.min_questions
    return DataSufficiency(
        n_train=n_train,
        n_held_out=n_gate,
        min_train=MIN_TRAIN_QUESTIONS,
        min_held_out=plan.rules.min_questions,
        n_pseudo_questions=_n_own(evidence, plan) if short else 0,
    )


def _n_own(evidence: TrainingSnapshot, plan: NightPlan) -> int:
    """Returns how many questions the library asks of itself, if the plan uses them; not all of them are consistent."""
    return len(draw_pseudo_questions(evidence.passages, plan.towers.seed).questions) if plan.cold_start else 0
