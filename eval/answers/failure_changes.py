"""First causes of two versions' failures on the same few questions; claimed only as far as they are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eval.answers.failure_attribution import (
    CAUSES,
    AnswerTrace,
    AttributedQuestion,
    CauseChanges,
    attribute_failures,
    cause_changes,
    count_causes,
)
from eval.answers.measure_answer import AnswerRow
from eval.datasets.question_sets import EvalQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCauses:
    """The first cause of every question's failure, or "right"."""

    written_by: str
    """The language model that wrote the answers, or "extractive"."""
    current: tuple[AttributedQuestion, ...]
    candidate: tuple[AttributedQuestion, ...]
    """Of the same questions in the same order; none if one version is measured alone."""
    n_golden: int
    """How many of the questions are golden ones; the others are judged ones."""
    n_without_reference: int
    """The number of questions without a known reference answer."""
    n_undecided: int
    """Answers of both versions that read a right passage and cite none; they may still be right."""

    @property
    def moved(self) -> CauseChanges | None:
        """From the current version to the candidate; None of one version alone."""
        return cause_changes(self.current, self.candidate) if self.candidate else None

    def table(self) -> list[tuple[str, int, int | None]]:
        """(cause, questions of the current version, of the candidate), without causes that no question has."""
        before, after = count_causes(self.current), count_causes(self.candidate)
        return [
            (cause, before[cause], after[cause] if self.candidate else None)
            for cause in CAUSES
            if before[cause] or after[cause]
        ]

    def sentences(self) -> Iterator[str]:
        """Yields how many questions were asked, and what can't be known about them."""
        n = len(self.current)
        yield (
            f"{n:,} questions were answered ({n - self.n_golden:,} judged ones by hash, {self.n_golden:,} golden ones); "
            f"answers by: {self.written_by}."
        )
        if self.n_without_reference:
            yield (
                f"No reference answer is known of {self.n_without_reference:,} of them. It can be said whether a right "
                "passage was found and read, whether the answer was declined, and whether its citations hold, but not whether "
                "the answer is wrong; whether a passage was cut badly, or a question can't be answered, is known of golden "
                "questions alone."
            )
        if self.n_undecided:
            yield (
                f'Answers that read a right passage and cite another one: {self.n_undecided:,}. They stand under "right", for '
                "the other passage may be right too."
            )

    def as_json(self) -> dict[str, Any]:
        """For metrics.json."""
        moved = self.moved
        return {
            "written_by": self.written_by,
            "n_questions": len(self.current),
            "n_golden": self.n_golden,
            "n_without_reference": self.n_without_reference,
            "n_untold": self.n_undecided,
            "current": count_causes(self.current),
            "candidate": count_causes(self.candidate) if self.candidate else None,
            "transitions": moved.as_json() if moved else None,
            "said": list(self.sentences()),
        }


def is_attributable(question: EvalQuestion) -> bool:
    """Whether the way to its answer is known: by a right passage, by one that was removed, or because there is none."""
    return bool(question.right) or not question.in_library or not question.is_answerable


def failure_causes(
    before: Sequence[AnswerRow], after: Sequence[AnswerRow], written_by: str, n_golden: int
) -> FailureCauses:
    """The causes of the same questions, *after* being empty if one version is measured alone."""
    return FailureCauses(
        written_by=written_by,
        current=tuple(attribute_failures([known(trace) for trace in before])),
        candidate=tuple(attribute_failures([known(trace) for trace in after])),
        n_golden=n_golden,
        n_without_reference=sum(trace.right_by == "passage" for trace in before),
        n_undecided=sum(map(_is_undecided, (*before, *after))),
    )


def known(row: AnswerRow) -> AnswerTrace:
    """The trace of one answer as far as it is known: one without a reference that read right passages is not wrong."""
    return replace(row.trace(), is_right=True) if _is_undecided(row) else row.trace()


def _is_undecided(row: AnswerRow) -> bool:
    is_given = bool(row.text) and not row.declined and not row.error
    return row.right_by == "passage" and is_given and not row.is_right and bool(set(row.read) & set(row.right))
