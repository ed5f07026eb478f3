"""All figures of a report, computed once from a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.report.compare_versions import (
    DEPTHS,
    PRIMARY,
    RANK_BANDS,
    REPORTED,
    MeasureRow,
    QuestionChange,
    compare_measures,
    found_share_by_depth,
    measure_values,
    question_changes,
    rank_band,
    rank_band_transitions,
)
from eval.report.comparison import Comparison
from eval.report.slices import QuestionSlice, question_slices
from eval.retrieval.drift import Drift, measure_drift
from eval.statistics.clustered_intervals import clustered_interval
from eval.statistics.proportions import McNemarResult, mcnemar_test
from eval.statistics.significance import Interval
from rag.arrays import DoubleArray
from rag.errors import TooLittleDataError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFigures:
    """The figures of a comparison."""

    values: Mapping[str, Mapping[str, DoubleArray]]
    """version → measure → `(n,)`; NaN if the version failed."""
    rows: Sequence[MeasureRow]
    parts: Sequence[QuestionSlice]
    moved: Sequence[QuestionChange]
    """One per question; empty for one version alone."""
    transitions: Mapping[tuple[str, str], int]
    places: Mapping[str, Mapping[str, int]]
    """version → rank band of the right passage → questions."""
    depths: Mapping[str, Sequence[float]]
    """version → the share of questions with a right passage within each of DEPTHS."""
    drift: Drift
    top_ten: McNemarResult | None
    """Whether a right passage is among the first ten: McNemar."""
    by_document: Interval | None
    """The difference of the primary measure under resampling documents; None for fewer than ten."""


def compute_figures(comparison: Comparison) -> ReportFigures:
    """Computes the figures; 10,000 questions take under a minute on one core."""
    questions = comparison.questions
    values = {
        name: measure_values(run, questions, (PRIMARY,) if name == "anchor" else REPORTED)
        for name, run in comparison.versions.items()
    }
    current, candidate = values["current"], values.get("candidate")
    before, after = current[PRIMARY], candidate[PRIMARY] if candidate else None
    locked = comparison.mask(lambda one: one.is_locked)
    decisive = comparison.mask(lambda one: one.is_decisive) & ~locked
    moved = question_changes(comparison, before, after) if after is not None else []
    return ReportFigures(
        values=values,
        rows=compare_measures(current, candidate, decisive),
        parts=question_slices(questions, before, after),
        moved=moved,
        transitions=rank_band_transitions(comparison) if candidate else {},
        places={name: _places(comparison, name) for name in values},
        depths={name: found_share_by_depth(run, questions) for name, run in comparison.versions.items()},
        drift=measure_drift(values["anchor"][PRIMARY] if "anchor" in values else None, before, after, decisive, locked),
        top_ten=_top_ten(moved),
        by_document=_by_document(comparison, before, after, decisive),
    )


def _places(comparison: Comparison, name: str) -> dict[str, int]:
    counts = Counter(rank_band(comparison.versions[name], question) for question in comparison.questions)
    return {band: counts[band] for band in RANK_BANDS}


def _top_ten(moved: Sequence[QuestionChange]) -> McNemarResult | None:
    whole = [change for change in moved if change.move != "error"]
    before, after = (
        [rank is not None and rank <= 10 for rank in ranks]
        for ranks in ([row.before for row in whole], [row.after for row in whole])
    )
    return mcnemar_test(before, after) if whole else None


def _by_document(
    comparison: Comparison, before: DoubleArray, after: DoubleArray | None, decisive: NDArray[np.bool_]
) -> Interval | None:
    if after is None:
        return None
    whole = decisive & np.isfinite(after - before)
    sources = [question.source for question, inside in zip(comparison.questions, whole, strict=True) if inside]
    try:
        return clustered_interval((after - before)[whole], sources)
    except TooLittleDataError:
        return None


def figures_as_json(figures: ReportFigures) -> dict[str, Any]:
    """The part of metrics.json that a comparison gives; a measure that is not valid has no value, and says so."""
    return {
        "measures": [_row(row) for row in figures.rows],
        "slices": [
            {
                "dimension": part.dimension,
                "name": part.name,
                "n": part.n,
                "mean_current": part.mean,
                "is_tested": part.p_adjusted is not None,
                "p_benjamini_hochberg": part.p_adjusted,
                "figures": asdict(part.figures) if part.figures else None,
            }
            for part in figures.parts
        ],
        "found_by_depth": {"depths": list(DEPTHS), **{name: list(shares) for name, shares in figures.depths.items()}},
        "places": {name: dict(places) for name, places in figures.places.items()},
        "transitions": [
            {"before": before, "after": after, "n": n}
            for (before, after), n in sorted(
                figures.transitions.items(), key=lambda one: [RANK_BANDS.index(name) for name in one[0]]
            )
        ],
        "moves": dict(sorted(Counter(change.move for change in figures.moved).items())),
        "drift": {
            name: asdict(change) if change else None
            for name, change in (
                ("since_anchor", figures.drift.since_anchor),
                ("locked", figures.drift.locked),
                ("since_anchor_locked", figures.drift.since_anchor_locked),
            )
        },
        "warnings": list(figures.drift.warnings()),
        "top_ten": asdict(figures.top_ten) if figures.top_ten else None,
        "by_document": asdict(figures.by_document) if figures.by_document else None,
    }


def _row(row: MeasureRow) -> dict[str, Any]:
    return {
        "measure": row.measure,
        "n": row.n,
        "n_asked": row.n_asked,
        "coverage": row.coverage,
        "is_valid": row.is_valid,
        "alone": asdict(row.alone) if row.alone else None,
        "figures": asdict(row.figures) if row.figures else None,
        "p_holm": row.p_holm,
    }
