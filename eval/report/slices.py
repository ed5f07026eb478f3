"""Slices of the questions by document, length, language and training, for exploring and not for deciding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.report.comparison import ReportQuestion
from eval.statistics.significance import LIGHT_BUDGET, PairedComparison, benjamini_hochberg, compare_paired
from rag.arrays import DoubleArray

FEWEST_TESTED = 30  # questions; fewer are shown and not tested
FEWEST_SHOWN = 5
MOST_SOURCES = 12  # documents with the most questions; the others are together
OTHERS = "all other documents"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSlice:
    """One slice of two versions, or of one."""

    dimension: str
    name: str
    n: int
    mean: float
    """nDCG@10 of the current version."""
    figures: PairedComparison | None
    """The candidate compared with the current version."""
    p_adjusted: float | None = None
    """After Benjamini and Hochberg over all tested slices; None if it has too few questions."""


def question_slices(
    questions: Sequence[ReportQuestion], before: DoubleArray, after: DoubleArray | None
) -> list[QuestionSlice]:
    """The slices of the questions that could be measured, *before* and *after* being nDCG@10, `(n,)`."""
    whole = np.isfinite(before) if after is None else np.isfinite(before) & np.isfinite(after)
    made = [_part(dimension, name, rows[whole[rows]], before, after) for dimension, name, rows in divided(questions)]
    shown = [part for part in made if part.n >= FEWEST_SHOWN]
    tested = [part for part in shown if part.n >= FEWEST_TESTED and part.figures]
    adjusted = iter(benjamini_hochberg([part.figures.p for part in tested if part.figures]))
    return [
        QuestionSlice(
            dimension=part.dimension,
            name=part.name,
            n=part.n,
            mean=part.mean,
            figures=part.figures,
            p_adjusted=next(adjusted),
        )
        if part in tested
        else part
        for part in shown
    ]


def _part(
    dimension: str, name: str, rows: NDArray[np.intp], before: DoubleArray, after: DoubleArray | None
) -> QuestionSlice:
    mean = float(before[rows].mean()) if len(rows) else 0.0
    figures = (
        compare_paired(before[rows], after[rows], budget=LIGHT_BUDGET) if after is not None and len(rows) >= 2 else None
    )
    return QuestionSlice(dimension=dimension, name=name, n=len(rows), mean=mean, figures=figures)


def divided(questions: Sequence[ReportQuestion]) -> Iterator[tuple[str, str, NDArray[np.intp]]]:
    """(dimension, name, rows) of every slice; a dimension in which all questions are alike is left out."""
    for dimension, name_of in DIMENSIONS:
        names = [name_of(question) for question in questions]
        if dimension == "document":
            names = _most_common(names)
        counts = Counter(names)
        if len(counts) > 1:
            for name in sorted(counts, key=lambda label: (label == OTHERS, -counts[label], label)):
                yield (
                    dimension,
                    name,
                    np.array([row for row, row_name in enumerate(names) if row_name == name], np.intp),
                )


def length_of(question: ReportQuestion) -> str:
    """
    >>> length_of(ReportQuestion(query_id="q", text="Who may apply for it?", right={}))
    'up to 5 words'
    """
    n = len(question.text.split())
    return (
        "up to 5 words" if n <= 5 else "6 to 10 words" if n <= 10 else "11 to 20 words" if n <= 20 else "over 20 words"
    )


def _most_common(names: Sequence[str]) -> list[str]:
    kept = {name for name, _ in Counter(names).most_common(MOST_SOURCES)}
    return [name if name in kept else OTHERS for name in names]


DIMENSIONS: tuple[tuple[str, Callable[[ReportQuestion], str]], ...] = (
    ("training", lambda one: "passage never trained on" if one.is_unseen else "passage trained on"),
    ("time", lambda one: "judged last" if one.is_newest else "judged before"),
    ("question length", length_of),
    ("right passages", lambda one: "one right passage" if len(one.right_ids) <= 1 else "several right passages"),
    ("language", lambda one: one.language or "unknown"),
    ("document", lambda one: one.source or "unknown"),
)
