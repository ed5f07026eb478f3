"""What a report shows next to its figures: what was compared, what may be wrong with it, and what came before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Lines = tuple[tuple[str, str], ...]
"""(name, value) pairs, as a table shows them."""

NIGHTS_SHOWN = 30
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ValidityCheck:
    """One check of whether the figures can be trusted."""

    name: str
    is_fine: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReport:
    """One earlier report, as the history shows it."""

    name: str
    decision: str
    n: int
    current: float | None
    """nDCG@10 of the version that answered before; None if nothing was measured."""
    candidate: float | None
    anchor: float | None
    locked: float | None
    """nDCG@10 of the candidate on the locked questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContext:
    """What the caller knows of a comparison."""

    title: str = "Report"
    changed: tuple[tuple[str, Lines], ...] = ()
    """(heading, lines): data, negatives, settings."""
    checks: tuple[ValidityCheck, ...] = ()
    history: tuple[PastReport, ...] = ()
    """Oldest first, this report not among them."""
    reproduce: Lines = ()
    advice: tuple[str, ...] = ()
    """Sentences that only the caller can say of what to do next."""


EMPTY_CONTEXT = ReportContext()


def past_reports(folder: Path, before: str = "", n: int = NIGHTS_SHOWN) -> tuple[PastReport, ...]:
    """The last *n* whole reports below *folder*, `NAME/report` each, oldest first; those of names from *before* on are not.

    A report of an earlier release, or one that can't be read, is passed over: it is history, not a measure.
    """
    whole = sorted(manifest.parent for manifest in folder.glob(f"*/report/{MANIFEST}"))
    names = [night for night in whole if not before or night.parent.name < before]
    return tuple(past for name in names[-n:] if (past := _past(name)))


def _past(folder: Path) -> PastReport | None:
    try:
        metrics: Any = json.loads((folder / "metrics.json").read_text("utf-8"))
        figures = metrics["figures"]
        primary, drift = figures.get("primary") or {}, (metrics.get("comparison") or {}).get("drift") or {}
        return PastReport(
            name=folder.parent.name,
            decision=str(metrics["decision"]),
            n=int(figures.get("n", 0)),
            current=_number(primary, "mean_current"),
            candidate=_number(primary, "mean_candidate"),
            anchor=_number(drift.get("since_anchor"), "mean_current"),
            locked=_number(drift.get("locked"), "mean_candidate"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _number(figures: Mapping[str, Any] | None, key: str) -> float | None:
    value = (figures or {}).get(key)
    return float(value) if isinstance(value, int | float) else None


def repeated_questions(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(position, position of the first) of every question that repeats an earlier one, apart from case and punctuation.

    >>> list(repeated_questions(["Who am I?", "What?", "who  am i"]))
    [(2, 0)]
    """
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        key = " ".join(text.casefold().split()).rstrip("?!. ")
        if key in first:
            yield index, first[key]
        else:
            first[key] = index
