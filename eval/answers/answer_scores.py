"""The scores of a set of answers: nothing is averaged away, and failures are counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.answers.abstention_table import AbstentionTable, abstention_table
from eval.answers.answer_metrics import area_under_risk_coverage, auroc, risk_coverage
from eval.answers.failure_attribution import AttributedQuestion, attribute_failures, count_causes, worst_failures
from eval.answers.measure_answer import GIVEN_ANSWER_MEASURES, REFERENCE_MEASURES, AnswerRow
from eval.statistics.ranking_metrics import mean

COVERAGES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the questions at which the risk is reported."""

ENOUGH = 0.95
"""The least share of questions that did not fail; below it no figure is valid."""


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """All rows of one run, and what they come to."""

    rows: tuple[AnswerRow, ...]

    @property
    def n_errors(self) -> int:
        """Rows whose answering failed."""
        return sum(bool(row.error) for row in self.rows)

    @property
    def coverage(self) -> float:
        """The share of rows that did not fail; 0 if there are no rows."""
        return 1 - self.n_errors / len(self.rows) if self.rows else 0.0

    def of(self, measure: str) -> list[float]:
        """The values of a measure, one a row that it applies to."""
        return [row.values[measure] for row in self.rows if measure in row.values]

    def means(self) -> dict[str, dict[str, float | int]]:
        """measure → {"mean", "n"}, for measures that apply to at least one row.

        A question that failed or was declined counts as 0 against a known answer; what only an answer can have (words,
        citations) is the mean over the answers given.
        """
        found = {name: self.of(name) for name in (*REFERENCE_MEASURES, *GIVEN_ANSWER_MEASURES)}
        return {
            name: {"mean": round(mean(answers_of_set), 5), "n": len(answers_of_set)}
            for name, answers_of_set in found.items()
            if answers_of_set
        }

    def right(self) -> dict[str, Any]:
        """How many answerable questions are answered right, and by which criterion."""
        answerable = [row for row in self.rows if row.is_answerable]
        return {
            "share": round(mean(float(row.is_right) for row in answerable), 5),
            "n": len(answerable),
            "by": dict(sorted(Counter(row.right_by for row in answerable).items())),
        }

    def abstentions(self) -> AbstentionTable:
        """The 2×2 table of the rows that did not fail."""
        valid = [row for row in self.rows if not row.error]
        return abstention_table([row.is_answerable for row in valid], [row.declined for row in valid])

    def risk_coverage(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coverage and risk, each `(n,)`, the most confident answers first; an answer to an unanswerable question is wrong."""
        return risk_coverage(*self._confidence())

    def _confidence(self) -> tuple[list[float], list[bool]]:
        return [row.sureness for row in self.rows], [row.is_right and not row.declined for row in self.rows]

    def risk(self) -> dict[str, Any]:
        """AURC, the risk at COVERAGES, and how well confidence separates answerable questions from the others."""
        coverage, risk = self.risk_coverage()
        there = [row.sureness for row in self.rows if row.is_answerable]
        gone = [row.sureness for row in self.rows if not row.is_answerable]
        return {
            "aurc": round(area_under_risk_coverage(*self._confidence()), 5),
            "at": {
                f"{share:.2f}": round(float(risk[np.searchsorted(coverage, share - 1e-9)]), 5) for share in COVERAGES
            }
            if self.rows
            else {},
            "auroc": round(auroc(there, gone), 5) if there and gone else None,
        }

    def cost(self) -> dict[str, float | int]:
        """Milliseconds a question, and tokens read and written, of the rows that did not fail."""
        valid = [row for row in self.rows if not row.error]
        ms = [row.ms for row in valid] or [0.0]
        return {
            "p50_ms": round(float(np.percentile(ms, 50)), 1),
            "p95_ms": round(float(np.percentile(ms, 95)), 1),
            "tokens_read": round(mean(float(row.n_tokens_read) for row in valid), 1),
            "tokens_written": round(mean(float(row.n_tokens_written) for row in valid if not row.declined), 1),
        }

    def attributed(self) -> list[AttributedQuestion]:
        """The first cause of every question's failure, or "right"."""
        return attribute_failures([row.trace() for row in self.rows])

    def by_origin(self) -> dict[str, AnswerScores]:
        """Returns the scores of each origin, if there is more than one."""
        found: dict[str, list[AnswerRow]] = defaultdict(list)
        for row in self.rows:
            found[row.origin].append(row)
        return {name: AnswerScores(tuple(rows)) for name, rows in sorted(found.items())} if len(found) > 1 else {}

    def as_json(self) -> dict[str, Any]:
        """Every figure; rows are not among them."""
        attributed = self.attributed()
        return {
            "n_questions": len(self.rows),
            "n_errors": self.n_errors,
            "coverage": round(self.coverage, 5),
            "is_valid": self.coverage >= ENOUGH,
            "right": self.right(),
            "measures": self.means(),
            "declining": self.abstentions().as_json(),
            "risk": self.risk(),
            "cost": self.cost(),
            "causes": count_causes(attributed),
            "worst": [failure.as_json() for failure in worst_failures(attributed)],
            "origins": {name: scores.summary() for name, scores in self.by_origin().items()},
        }

    def summary(self) -> dict[str, Any]:
        """The figures of a slice."""
        return {
            "n_questions": len(self.rows),
            "n_errors": self.n_errors,
            "right": self.right(),
            "measures": self.means(),
            "declining": self.abstentions().as_json(),
        }


def score_answers(rows: Sequence[AnswerRow]) -> AnswerScores:
    """The rows as one set."""
    return AnswerScores(tuple(rows))
