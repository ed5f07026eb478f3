"""Two versions question by question: every measure with its test, places of the right passage, and what moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.report.comparison import Comparison, ReportQuestion, VersionRun
from eval.statistics.ranking_metrics import Qrels, measure_per_question, run_from_rankings
from eval.statistics.significance import (
    LIGHT_BUDGET,
    RESAMPLING_BUDGET,
    Interval,
    PairedComparison,
    compare_paired,
    holm_correction,
    mean_interval,
)
from rag.arrays import BoolArray, DoubleArray

PRIMARY = "nDCG@10"
REPORTED = (
    PRIMARY,
    "RR@10",
    "R@5",
    "R@10",
    "R@20",
    "R@100",
    "Success@1",
    "Success@5",
    "Judged@10",
    "nDCG(judged_only=True)@10",
)
"""As ir-measures writes them. A new version finds passages that nobody judged: the last two show how much that costs."""
DEPTHS = (1, 2, 3, 5, 10, 20, 50, 100)
MIN_COVERAGE = 0.95
RANK_BANDS = ("first", "second to tenth", "11th to 100th", "beyond 100", "not in the library", "error")
"""Where the best right passage of a question is."""
Move = Literal["broken", "fixed", "worse", "better", "same", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRow:
    """One measure of one or two versions."""

    measure: str
    n: int
    """Questions that could be measured for every version shown."""
    n_asked: int
    alone: Interval | None
    """The mean of one version measured alone."""
    figures: PairedComparison | None
    """The candidate compared with the current version. Both are None if there are too few questions, or too many failed."""
    p_holm: float | None = None

    @property
    def coverage(self) -> float:
        """The share of the questions that could be measured."""
        return self.n / self.n_asked if self.n_asked else 0.0

    @property
    def is_valid(self) -> bool:
        """Whether the measure may be read at all."""
        return self.n >= 2 and self.coverage >= MIN_COVERAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionChange:
    """How one question changed between two versions."""

    question: ReportQuestion
    before: int | None
    """Rank of the first right passage, 1-based; None if it is not among those found."""
    after: int | None
    difference: float
    """Of nDCG@10; NaN if a version failed."""
    move: Move


def measure_values(
    found: VersionRun, questions: Sequence[ReportQuestion], measures: Sequence[str] = REPORTED
) -> dict[str, DoubleArray]:
    """measure → `(n,)`, computed by ir-measures; 0 for a question without results, NaN for one with an error."""
    qrels: Qrels = {question.query_id: dict(question.right) for question in questions}
    run = run_from_rankings({query_id: found.run[query_id] for query_id in qrels if found.run.get(query_id)})
    values = measure_per_question(qrels, run, measures)
    failed = np.array([query_id in found.errors for query_id in qrels], np.bool_)
    return {
        name: np.where(failed, np.nan, np.fromiter(of_query.values(), np.float64)) for name, of_query in values.items()
    }


def compare_measures(
    current: Mapping[str, DoubleArray], candidate: Mapping[str, DoubleArray] | None, decisive: BoolArray
) -> list[MeasureRow]:
    """Every measure over the *decisive* questions; all but the first one under Holm's correction."""
    made = [_row(name, current[name][decisive], candidate[name][decisive] if candidate else None) for name in current]
    others = [run for run in made[1:] if run.figures]
    corrected = dict(
        zip(
            (run.measure for run in others),
            holm_correction([run.figures.p for run in others if run.figures]),
            strict=True,
        )
    )
    return [
        MeasureRow(
            measure=run.measure,
            n=run.n,
            n_asked=run.n_asked,
            alone=run.alone,
            figures=run.figures,
            p_holm=corrected.get(run.measure),
        )
        for run in made
    ]


def _row(measure: str, before: DoubleArray, after: DoubleArray | None) -> MeasureRow:
    whole = np.isfinite(before) if after is None else np.isfinite(before) & np.isfinite(after)
    row = MeasureRow(measure=measure, n=int(whole.sum()), n_asked=len(before), alone=None, figures=None)
    if not row.is_valid:
        return row
    if after is None:
        return MeasureRow(
            measure=measure,
            n=row.n,
            n_asked=row.n_asked,
            alone=mean_interval(before[whole], budget=LIGHT_BUDGET),
            figures=None,
        )
    work = RESAMPLING_BUDGET if measure == PRIMARY else LIGHT_BUDGET
    return MeasureRow(
        measure=measure,
        n=row.n,
        n_asked=row.n_asked,
        alone=None,
        figures=compare_paired(before[whole], after[whole], budget=work),
    )


def rank_of_right_passage(found: VersionRun, question: ReportQuestion) -> int | None:
    """The rank of the first right passage, 1-based; None if none was found."""
    right = question.right_ids
    ranked = found.run.get(question.query_id, ())
    return next((rank for rank, passage_id in enumerate(ranked, start=1) if passage_id in right), None)


def rank_band(found: VersionRun, question: ReportQuestion) -> str:
    """One of RANK_BANDS.

    >>> run = VersionRun(version_id="v", run={"q": ["a", "b"]})
    >>> [rank_band(run, ReportQuestion(query_id="q", text="?", right={right: 1})) for right in "abc"]
    ['first', 'second to tenth', 'beyond 100']
    """
    if question.query_id in found.errors:
        return "error"
    if not question.right_ids:
        return "not in the library"
    rank = rank_of_right_passage(found, question)
    if rank is None or rank > 100:
        return "beyond 100"
    return RANK_BANDS[0] if rank == 1 else RANK_BANDS[1] if rank <= 10 else RANK_BANDS[2]


def rank_band_transitions(comparison: Comparison) -> Counter[tuple[str, str]]:
    """(band before, band after) → the number of questions."""
    assert comparison.candidate is not None, "one version alone moves nothing"
    current, candidate = comparison.current, comparison.candidate
    return Counter((rank_band(current, question), rank_band(candidate, question)) for question in comparison.questions)


def found_share_by_depth(
    found: VersionRun, questions: Sequence[ReportQuestion], depths: Sequence[int] = DEPTHS
) -> list[float]:
    """For each depth the share of questions with a right passage among this many first hits; errors are left out."""
    ranks = [rank_of_right_passage(found, question) for question in questions if question.query_id not in found.errors]
    return [sum(rank is not None and rank <= depth for rank in ranks) / max(1, len(ranks)) for depth in depths]


def question_changes(comparison: Comparison, before: DoubleArray, after: DoubleArray) -> list[QuestionChange]:
    """Every question, in order, with its change; *before* and *after* are nDCG@10, `(n,)`.

    Broken: its right passage was among the first ten and no longer is. Fixed: the other way round.
    """
    assert comparison.candidate is not None, "one version alone moves nothing"
    made = []
    for question, difference in zip(comparison.questions, after - before, strict=True):
        before_rank = rank_of_right_passage(comparison.current, question)
        after_rank = rank_of_right_passage(comparison.candidate, question)
        made.append(
            QuestionChange(
                question=question,
                before=before_rank,
                after=after_rank,
                difference=float(difference),
                move=_move(before_rank, after_rank, float(difference)),
            )
        )
    return made


def _move(before: int | None, after: int | None, difference: float) -> Move:
    """
    >>> _move(3, 14, -0.5), _move(None, 2, 0.6), _move(3, 4, -0.1), _move(1, 1, 0.0), _move(1, 1, float("nan"))
    ('broken', 'fixed', 'worse', 'same', 'error')
    """
    if not np.isfinite(difference):
        return "error"
    was, now = (rank is not None and rank <= 10 for rank in (before, after))
    if was != now:
        return "broken" if was else "fixed"
    if abs(difference) < 1e-12:
        return "same"
    return "worse" if difference < 0 else "better"


ORDER: Mapping[Move, int] = {"error": 0, "broken": 1, "fixed": 2, "worse": 3, "better": 4, "same": 5}


def most_changed(moved: Sequence[QuestionChange], n: int) -> list[QuestionChange]:
    """At most *n* to look at: what failed or broke, then what was fixed, then what else moved; the most moved first.

    Broken ones take four places in five at most, so that the others are seen too.
    """
    ordered = sorted(
        moved, key=lambda one: (ORDER[one.move], -abs(np.nan_to_num(one.difference)), one.question.query_id)
    )
    urgent = [question for question in ordered if question.move in ("error", "broken")]
    others = [question for question in ordered if question.move in ("fixed", "worse", "better")]
    return [*urgent[: n - n // 5], *others][:n]
