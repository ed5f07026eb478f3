"""report.html: one file that asks nothing of the network, runs nothing, and shows whatever it is given as text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.answers.failure_attribution import worst_failures
from eval.gate.decide import GateDecision
from eval.gate.guards import Ruling, RulingOutcome
from eval.report.compare_versions import DEPTHS, RANK_BANDS
from eval.report.comparison import AbstentionScores, Comparison
from eval.report.figures import ReportFigures
from eval.report.output import report_plots
from eval.report.provenance import PastReport, ReportContext, ValidityCheck
from eval.report.question_details import question_details
from eval.statistics.number_wording import (
    describe_change,
    describe_p,
    describe_test,
    format_number,
    format_p,
    format_signed,
    measure_name,
)

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
HEADLINES = {
    "promoted": "Promoted: the candidate answers from now on",
    "kept": "Kept: the current version stays",
    "invalid": "Invalid: too little data to decide; the current version stays",
}
MARKS = {"passed": "✓", "failed": "✗", "untested": "–"}
MOST_SHOWN = 60  # questions in the page; of 10,000 all would be 60 MB, and nobody reads them
WORST = 10  # questions named with their first cause
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of said probabilities


@dataclass(frozen=True, slots=True)
class AbstentionCounts:
    """How often a version answered and declined, for a 2 × 2 table."""

    n: int
    answered: int
    """With the right passage there."""
    declined: int
    """With it taken away."""


def render_page(
    decision: GateDecision,
    facts: Mapping[str, Any],
    background: ReportContext,
    advice: Sequence[str],
    comparison: Comparison | None = None,
    figures: ReportFigures | None = None,
    headline: str = "",
) -> str:
    """The page as HTML text; equal input, equal text."""
    badge, _, rest = (headline or HEADLINES[decision.decision]).partition(": ")
    of_figures = _of_figures(decision, background, comparison, figures) if comparison and figures else {"figures": None}
    return _rendered(
        "report.html.j2",
        **of_figures,
        decision=decision,
        badge=badge,
        headline=rest[:1].upper() + rest[1:],
        background=background,
        advice=advice,
        rulings=decision.rulings or _bare_rulings(decision),
        marks=MARKS,
        checks=_checks(background, figures),
        facts=[(name, _text(value)) for name, value in facts.items()],
    )


def render_index(reports: Sequence[tuple[PastReport, str]]) -> str:
    """The page that lists reports, newest first, each with the name of its page."""
    listed = [{"name": past.name, "past": past, "page": page} for past, page in reports]
    return _rendered("index.html.j2", reports=listed)


def _of_figures(
    decision: GateDecision, background: ReportContext, comparison: Comparison, figures: ReportFigures
) -> dict[str, Any]:
    sureness = {name: run.sureness for name, run in comparison.versions.items() if run.sureness is not None}
    past = (*background.history, _today(decision, background, figures)) if background.history else ()
    shown = question_details(comparison, figures, MOST_SHOWN)
    return {
        "figures": figures,
        "is_pair": comparison.candidate is not None,
        "plots": _plots(figures, sureness, past),
        "drift_sentences": list(_drift_sentences(figures)),
        "depth_words": _depth_words(figures),
        "places": RANK_BANDS,
        "transitions": figures.transitions,
        "place_counts": [(name, str(n)) for name, n in figures.places["current"].items()],
        "declining": [(name, declining_of(scores)) for name, scores in sureness.items()],
        "calibration": _calibration(list(sureness.values())),
        "past": past,
        "causes": comparison.causes,
        "worst": worst_failures(comparison.causes.candidate or comparison.causes.current, WORST)
        if comparison.causes
        else [],
        "shown": shown,
        "n_answered": sum(question.current_answer is not None for question in shown),
        "n_questions": len(comparison.questions),
    }


def _plots(
    figures: ReportFigures, sureness: Mapping[str, AbstentionScores], past: Sequence[PastReport]
) -> dict[str, Any]:
    """Name → SVG element, "" where there is nothing to draw; ours to the last byte, names of documents escaped in them."""
    from markupsafe import Markup

    drawn = {
        "measures": report_plots.measures_plot(figures.rows) if any(row.figures for row in figures.rows) else "",
        "depths": report_plots.depth_plot(figures.depths),
        "slices": report_plots.slices_plot(figures.parts) if any(part.figures for part in figures.parts) else "",
        "risk": report_plots.risk_coverage_plot(sureness) if sureness else "",
        "history": report_plots.history_plot(past) if len(past) > 1 else "",
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - matplotlib escapes every text that it draws


def _today(decision: GateDecision, background: ReportContext, figures: ReportFigures) -> PastReport:
    primary, drift = figures.rows[0].figures, figures.drift
    return PastReport(
        name=background.title,
        decision=decision.decision,
        n=figures.rows[0].n,
        current=primary.mean_current if primary else None,
        candidate=primary.mean_candidate if primary else None,
        anchor=drift.since_anchor.mean_current if drift.since_anchor else None,
        locked=drift.locked.mean_candidate if drift.locked else None,
    )


def _drift_sentences(figures: ReportFigures) -> Iterator[str]:
    looks = (
        (figures.drift.since_anchor, "Since the beginning: from the base to the current version"),
        (figures.drift.since_anchor_locked, "The same on the locked questions, which never decide"),
        (figures.drift.locked, "Locked questions: from the current version to the candidate"),
    )
    for look, name in looks:
        if look:
            few = "; too few to read much into" if look.n < 30 else ""
            yield f"{name}, nDCG@10 {describe_change(look)} on {look.n:,} questions ({describe_test(look)}){few}."


def _depth_words(figures: ReportFigures) -> str:
    said = (
        f"{name}: " + ", ".join(f"{share:.0%} at {k}" for k, share in zip(DEPTHS, shares, strict=True))
        for name, shares in figures.depths.items()
    )
    return "Share of questions with a right passage among the first k. " + "; ".join(said) + "."


def declining_of(sureness: AbstentionScores) -> AbstentionCounts:
    """
    >>> declining_of(AbstentionScores(np.array([0.9, 0.1]), np.array([0.3, 0.0]), np.array([True, True]), least=0.2))
    AbstentionCounts(n=2, answered=1, declined=1)
    """
    return AbstentionCounts(
        len(sureness.there), int((sureness.there >= sureness.least).sum()), int((sureness.gone < sureness.least).sum())
    )


def _calibration(all_of: Sequence[AbstentionScores]) -> list[tuple[str, list[str]]]:
    """(bin of said probability, for each version "right, of questions")."""
    rows = []
    for low, high in pairwise(BINS):
        cells = []
        for scores in all_of:
            said = np.concatenate([scores.there, scores.gone])
            right = np.concatenate([scores.right_is_shown, np.zeros(len(scores.gone), np.bool_)])
            inside = (said >= low) & ((said < high) | (high == BINS[-1]))
            n = int(inside.sum())
            cells.append(f"{right[inside].mean():.0%} of {n}" if n else "–")
        rows.append((f"{low:.1f} to {high:.1f}", cells))
    return rows


def _checks(background: ReportContext, figures: ReportFigures | None) -> list[ValidityCheck]:
    invalid = [row for row in figures.rows if not row.is_valid] if figures else []
    return [
        *background.checks,
        *(
            ValidityCheck(
                question.measure,
                False,
                f"Only {question.n:,} of {question.n_asked:,} questions could be measured: no figure is shown.",
            )
            for question in invalid
        ),
    ]


def _bare_rulings(decision: GateDecision) -> list[Ruling]:
    """For decisions that name no rules."""
    outcome: RulingOutcome = "passed" if decision.decision == "promoted" else "untested"
    return [Ruling("decision", "decision", outcome, reason) for reason in decision.reasons]


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(entry)}" for name, entry in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_text(entry) for entry in value) or "none"
    return str(value)


# ---- Jinja2


def _style() -> dict[str, Any]:
    """The page's one style sheet, and the hash by which its policy names it."""
    from markupsafe import Markup

    style = (TEMPLATES / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {"style": Markup(style), "style_hash": f"sha256-{digest}"}  # noqa: S704 - our own file


def _rendered(template: str, **values: Any) -> str:
    return str(_environment().get_template(template).render(**_style(), **values))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Escapes everything, and refuses a name that nobody gave it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters |= {
        "plain": format_number,
        "signed": format_signed,
        "said_p": describe_p,
        "bare_p": format_p,
        "measure": measure_name,
    }
    return made
