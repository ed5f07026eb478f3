"""The plots of a report, as SVG to be inside a page: its colours follow the page's, and nothing needs a style of its own."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.report.compare_versions import DEPTHS, MeasureRow
from eval.report.comparison import AbstentionScores
from eval.report.output.svg_plots import INK, OURS, PALE, THEIRS, render_svg
from eval.report.provenance import PastReport
from eval.report.slices import QuestionSlice
from eval.statistics.number_wording import measure_name
from eval.statistics.significance import PairedComparison

LABEL = 34  # characters of a name that a plot has room for
FADED = "#7a7a7a"
VARIABLES = {
    INK: "var(--ink)",
    PALE: "var(--line)",
    OURS: "var(--ours)",
    THEIRS: "var(--theirs)",
    FADED: "var(--faded)",
}
NAMES = {"anchor": "base"}
KINDS = {"current": (FADED, (0, (4, 2))), "candidate": (OURS, "-"), "anchor": (THEIRS, (0, (1, 2)))}

_STYLE = re.compile(r' style="([^"]*)"')
_FONT = re.compile(r"^(?:(?P<weight>bold|\d+) )?(?P<size>[\d.]+px) (?P<family>.+)$")
_OWN_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)


def measures_plot(rows: Sequence[MeasureRow]) -> str:
    """Every measure's difference with its interval."""
    shown = [(measure_name(row.measure), row.figures) for row in rows if row.figures]
    return _inline(
        "measures",
        lambda axes: _forest(axes, shown),
        "candidate minus current; lines: 95 % intervals",
        0.9 + 0.28 * len(shown),
    )


def slices_plot(parts: Sequence[QuestionSlice]) -> str:
    """Every slice's difference in nDCG@10 with its interval; hollow if it has too few questions for a test."""
    shown = [(f"{_short(part.name)} ({part.n:,})", part.figures) for part in parts if part.figures]
    hollow = [part.p_adjusted is None for part in parts if part.figures]
    return _inline(
        "slices",
        lambda axes: _forest(axes, shown, hollow),
        "nDCG@10, candidate minus current; hollow: fewer than 30 questions, not tested",
        0.9 + 0.28 * len(shown),
    )


def _forest(axes: Any, shown: Sequence[tuple[str, PairedComparison]], hollow: Sequence[bool] = ()) -> None:
    for line, (_, figures) in enumerate(shown):
        is_hollow = bool(hollow and hollow[line])
        axes.hlines(line, figures.low, figures.high, color=FADED if is_hollow else OURS, linewidth=2)
        axes.plot(
            [figures.difference],
            [line],
            "o",
            color=FADED if is_hollow else OURS,
            markersize=6,
            fillstyle="none" if is_hollow else "full",
        )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [name for name, _ in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    _bare(axes, "top", "right", "left")
    axes.tick_params(axis="y", length=0)


def depth_plot(depths: Mapping[str, Sequence[float]]) -> str:
    """Share of the questions with a right passage among the first k."""

    def draw(axes: Any) -> None:
        for name, shares in depths.items():
            colour, dashes = KINDS[name]
            axes.plot(
                range(len(DEPTHS)),
                list(shares),
                color=colour,
                linestyle=dashes,
                linewidth=2,
                label=NAMES.get(name, name),
            )
        axes.set_xticks(range(len(DEPTHS)), [str(depth) for depth in DEPTHS])
        axes.set_ylim(0, 1)
        axes.grid(color=PALE, linewidth=0.6)
        axes.legend(loc="lower right", frameon=False, fontsize=9)
        _bare(axes, "top", "right")

    return _inline("depths", draw, "x: passages looked at; y: share of questions with a right passage among them", 3.2)


def risk_coverage_plot(versions: Mapping[str, AbstentionScores]) -> str:
    """Share of wrong answers over the share answered, the surest first; without its passage every answer is wrong."""

    def draw(axes: Any) -> None:
        for name, sureness in versions.items():
            colour, dashes = KINDS[name]
            coverage, risk = risk_coverage_of(sureness)
            axes.plot(coverage, risk, color=colour, linestyle=dashes, linewidth=2, label=name)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.grid(color=PALE, linewidth=0.6)
        axes.legend(loc="lower right", frameon=False, fontsize=9)
        _bare(axes, "top", "right")

    return _inline(
        "risk", draw, "x: share of questions answered, most confident first; y: share without a right passage", 3.2
    )


def risk_coverage_of(sureness: AbstentionScores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(coverage, risk), `(2 n,)` each: all questions with their passages and without, the surest first."""
    scores = np.concatenate([sureness.there, sureness.gone])
    wrong = np.concatenate([~sureness.right_is_shown, np.ones(len(sureness.gone), np.bool_)])
    order = np.argsort(-scores, kind="stable")
    n = np.arange(1, len(scores) + 1)
    return n / len(scores), np.cumsum(wrong[order]) / n


def history_plot(past: Sequence[PastReport]) -> str:
    """nDCG@10 night by night: of what answered, of the candidate, of the base; filled if it was promoted."""

    def draw(axes: Any) -> None:
        places = range(len(past))
        for name, values in (
            ("current", [night.current for night in past]),
            ("anchor", [night.anchor for night in past]),
        ):
            colour, dashes = KINDS[name]
            axes.plot(
                places,
                [np.nan if number is None else number for number in values],
                color=colour,
                linestyle=dashes,
                linewidth=1.6,
                marker=".",
                label=NAMES.get(name, name),
            )
        for index, night in enumerate(past):
            if night.candidate is not None:
                axes.plot(
                    [index],
                    [night.candidate],
                    "o",
                    color=OURS,
                    markersize=6,
                    fillstyle="full" if night.decision == "promoted" else "none",
                )
        axes.set_xticks(places, [_short(night.name[:8]) for night in past], rotation=60, fontsize=8)
        axes.grid(color=PALE, linewidth=0.6)
        axes.legend(loc="best", frameon=False, fontsize=9)
        _bare(axes, "top", "right")

    return _inline("history", draw, "nDCG@10 on each night's own questions; dots: candidates, filled: promoted", 3.0)


# ---- as a part of the page


def _inline(name: str, draw: Callable[[Any], None], below: str, height: float) -> str:
    with warnings.catch_warnings():
        # Names of documents may be in a script that the measuring font lacks; the reader's own font draws them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawn = render_svg(draw, "", below, height, background="none", width=8.0)
    return embedded(drawn, name)


def embedded(drawn: str, name: str) -> str:
    """An SVG file's text as an element for a page: no prolog, ids of its own, and attributes in place of styles.

    So the page's policy can forbid every style that the page itself does not name by hash.
    """
    element = _OWN_STYLE.sub("", drawn[drawn.index("<svg") :])
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = _STYLE.sub(_as_attributes, element)
    element = re.sub(r' id="', f' id="{name}-', element)
    element = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", element)
    for colour, variable in VARIABLES.items():
        element = element.replace(colour, variable)
    return element.strip()


def _as_attributes(found: re.Match[str]) -> str:
    attributes: dict[str, str] = {}
    for declaration in found[1].split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font" and (font := _FONT.match(value)):
            attributes |= {"font-size": font["size"], "font-weight": font["weight"] or "normal"}
        elif (key and not key.startswith(("font", "-"))) or key == "font-size":
            attributes[key] = value
    return "".join(f' {key}="{value}"' for key, value in attributes.items())


def _bare(axes: Any, *sides: str) -> None:
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    for side in sides:
        axes.spines[side].set_visible(False)


def _short(text: str) -> str:
    """One line of printable characters, cut in the middle: names of files differ at their ends.

    >>> _short("a/very/long/path/to/some/document/of/the/house.pdf")
    'a/very/long/path…nt/of/the/house.pdf'
    """
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    half = LABEL // 2
    return line if len(line) <= LABEL else f"{line[: half - 1]}…{line[-half - 2 :]}"
