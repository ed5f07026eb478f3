"""Bars that a user sets for a measure, as a CI step needs them: nDCG@10=0.6."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from eval.gate.guards import Ruling
from eval.report.compare_versions import REPORTED, MeasureRow
from eval.statistics.number_wording import format_number
from rag.errors import UsageError


def parse_thresholds(given: Iterable[str]) -> dict[str, float]:
    """Measure → bar; of a measure that is given twice the last one holds.

    Raises:
        UsageError: a measure is unknown, or its threshold is not a number from 0 to 1.

    >>> parse_thresholds(["nDCG@10=0.6", "R@10 = .9"])
    {'nDCG@10': 0.6, 'R@10': 0.9}
    """
    bars = {}
    for threshold in given:
        name, _, value = (part.strip() for part in threshold.rpartition("="))
        if name not in REPORTED:
            raise UsageError(
                f"{threshold!r} names no measure: write one of {', '.join(REPORTED)}, and =0.6, say, behind it"
            )
        bars[name] = _bar(threshold, value)
    return bars


def _bar(given: str, value: str) -> float:
    try:
        bar = float(value)
    except ValueError:
        bar = math.nan
    if not 0 <= bar <= 1:
        raise UsageError(f"{given!r} has the bar {value!r}: write a number from 0 to 1")
    return bar


def check_thresholds(bars: Mapping[str, float], rows: Sequence[MeasureRow]) -> Iterator[Ruling]:
    """What each bar says of the candidate, or of the one version; a measure that is not valid reaches no threshold."""
    measured = {row.measure: row for row in rows}
    for name, bar in bars.items():
        row = measured[name]
        mean = row.figures.mean_candidate if row.figures else row.alone.mean if row.alone else None
        if mean is None:
            said = f"{name} could be measured on {row.n:,} of {row.n_asked:,} questions only: no bar is reached so."
            yield Ruling(f"min {name}", "bars", "failed", said)
        elif mean < bar:
            yield Ruling(
                f"min {name}",
                "bars",
                "failed",
                f"{name} is {format_number(mean)}, below the bar of {format_number(bar)}.",
            )
        else:
            yield Ruling(
                f"min {name}",
                "bars",
                "passed",
                f"{name} is {format_number(mean)}, at or above the bar of {format_number(bar)}.",
            )
