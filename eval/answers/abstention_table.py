"""Whether declining is right: questions answered and declined, with and without an answer in the documents, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AbstentionTable:
    """The four counts. A question that failed is in none of them."""

    answered: int
    """Questions that the documents answer, that got an answer, right or wrong."""
    refused: int
    """Questions that the documents answer, but that were declined."""
    wrongly_answered: int
    """Questions that they do not answer, but that got an answer."""
    declined: int
    """Questions that they do not answer, and that were declined."""

    @property
    def precision(self) -> float | None:
        """The share of the declined questions that had to be declined."""
        return _share(self.declined, self.declined + self.refused)

    @property
    def recall(self) -> float | None:
        """The share of the questions that had to be declined that were."""
        return _share(self.declined, self.declined + self.wrongly_answered)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; None if nothing had to be declined and nothing was."""
        total = 2 * self.declined + self.refused + self.wrongly_answered
        return 2 * self.declined / total if total else None

    def as_json(self) -> dict[str, Any]:
        """The table, and what it comes to."""
        return {
            "answerable": {"answered": self.answered, "declined": self.refused},
            "unanswerable": {"answered": self.wrongly_answered, "declined": self.declined},
            "answer_rate": _share(self.answered, self.answered + self.refused),
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


def abstention_table(is_answerable: Sequence[bool], declined: Sequence[bool]) -> AbstentionTable:
    """Counts the questions, each `(n,)` in one order.

    >>> abstention_table([True, True, False, False], [False, True, True, True])
    AbstentionTable(answered=1, refused=1, wrongly_answered=0, declined=2)
    """
    pairs = list(zip(is_answerable, declined, strict=True))
    return AbstentionTable(
        pairs.count((True, False)), pairs.count((True, True)), pairs.count((False, False)), pairs.count((False, True))
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
