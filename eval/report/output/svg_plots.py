"""Plots for guides and reports: SVG as text, the same bytes for the same figures, no font or file of anybody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Literal

UNIT = "served nDCG@10; lines: 95 % intervals of the gain over the base"
INK, PALE, OURS, THEIRS = "#222222", "#d8d8d8", "#1f5fa8", "#b3611b"
SHAPES = {"seen": "^", "unseen": "^"}
FILLED: Mapping[str, Any] = {"seen": "none", "unseen": "full"}
BELOW = 0.3  # lines, so that the smaller marks do not hide the interval
GAP = 0.5  # between our dot and the one it is compared with
STYLE: Mapping[str, Any] = {
    "svg.hashsalt": "nightjar",  # ids of marks come from it, and else from chance
    "text.parse_math": False,  # a dollar in the name of a document is a dollar
    "svg.fonttype": "none",  # words stay words: they can be searched and read aloud
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One line of a dot plot."""

    label: str
    at: float
    low: float
    """End of the line through the dot."""
    high: float
    marks: Mapping[str, float] = field(default_factory=dict)
    """Smaller marks on the same line: "seen", "unseen"."""
    is_baseline: bool = False
    """Drawn in the second colour, below the others."""


def dot_plot(dots: Sequence[Dot], title: str, unit: str = UNIT, start: str = "base") -> str:
    """A horizontal dot plot as SVG text, first dot on top, with a dashed line through the dot labelled *start*.

    What the line through a dot means is for *unit* to say.
    """
    ordered = [*(dot for dot in dots if not dot.is_baseline), *(dot for dot in dots if dot.is_baseline)]
    return render_svg(lambda axes: _draw(axes, ordered, start), title, unit, 1.1 + 0.34 * len(ordered))


def render_svg(
    draw: Callable[[Any], None], title: str, below: str, height: float, background: str = "white", width: float = 8.0
) -> str:
    """What *draw* puts on a pair of axes, as SVG text; *height* and *width* in inches."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = dict(STYLE)  # its type names three hundred keys
    with rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor=background)
        axes = figure.add_subplot()
        draw(axes)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel(below)
        made = BytesIO()
        canvas: Any = FigureCanvasSVG(figure)  # matplotlib leaves its methods untyped
        canvas.print_svg(made, metadata={"Date": None, "Creator": None})
    return made.getvalue().decode("utf-8")


def _draw(axes: Any, dots: Sequence[Dot], start: str) -> None:
    lines = [index + GAP * dot.is_baseline for index, dot in enumerate(dots)]
    for line, dot in zip(lines, dots, strict=True):
        colour = THEIRS if dot.is_baseline else OURS
        axes.hlines(line, dot.low, dot.high, color=colour, linewidth=2)
        axes.plot([dot.at], [line], "o", color=colour, markersize=7)
        for name, at in dot.marks.items():
            axes.plot([at], [line + BELOW], SHAPES[name], color=colour, markersize=4, fillstyle=FILLED[name])
        if dot.label == start:
            axes.axvline(dot.at, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(lines, [f"{dot.label}   {dot.at:.3f}" for dot in dots])
    axes.set_ylim(max(lines, default=0) + 0.6, -0.6)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    _explain(axes, {name for dot in dots for name in dot.marks})


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot over nights."""

    label: str
    at: Sequence[float]
    """One value a night, the first night first."""
    kind: Literal["ours", "theirs", "pale"] = "ours"
    """"pale" ones are thin, and have their name at their end only."""


def nights_plot(lines: Sequence[Curve], title: str, below: str, threshold: float) -> str:
    """Lines over nights as SVG text, with one dashed line at 0 and one, named, at *threshold*."""
    return render_svg(lambda axes: _draw_curves(axes, lines, threshold), title, below, 4.2)


def _draw_curves(axes: Any, lines: Sequence[Curve], bar: float) -> None:
    longest = max((len(line.at) for line in lines), default=0)
    for line in lines:
        colour = {"ours": OURS, "theirs": THEIRS, "pale": "#9a9a9a"}[line.kind]
        nights = list(range(1, len(line.at) + 1))
        axes.plot(
            nights, list(line.at), color=colour, linewidth=1 if line.kind == "pale" else 2.4, drawstyle="steps-post"
        )
        axes.annotate(
            line.label,
            (longest, line.at[-1]),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
        )
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.axhline(bar, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(f"bar {bar:+.3f}", (1, bar), xytext=(0, -10), textcoords="offset points", fontsize=8)
    axes.set_xlim(1, max(longest, 2))
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


@dataclass(frozen=True, slots=True)
class RiskCurve:
    """One line of a risk–coverage plot."""

    label: str
    coverage: Sequence[float]
    """Shares of the questions that are answered, rising."""
    risk: Sequence[float]
    """For each, the share of those answers that are wrong."""
    kind: Literal["ours", "theirs", "pale"] = "ours"


def risk_plot(lines: Sequence[RiskCurve], title: str) -> str:
    """Risk over coverage as SVG text; the lower line is the better one."""
    return render_svg(
        lambda axes: _draw_risks(axes, lines),
        title,
        "x: share of questions answered, most confident first; y: share of wrong answers",
        4.2,
    )


def _draw_risks(axes: Any, lines: Sequence[RiskCurve]) -> None:
    for line in lines:
        colour = {"ours": OURS, "theirs": THEIRS, "pale": "#7a7a7a"}[line.kind]
        axes.plot(
            list(line.coverage),
            list(line.risk),
            color=colour,
            linewidth=2.4 if line.kind == "ours" else 1.4,
            label=line.label,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid(color=PALE, linewidth=0.6)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _explain(axes: Any, names: set[str]) -> None:
    """A key for the smaller marks, above the lines."""
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=INK, marker=shape, linestyle="none", fillstyle=FILLED[name], markersize=4, label=name)
        for name, shape in SHAPES.items()
        if name in names
    ]
    if marks:
        axes.legend(
            handles=marks,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            ncols=len(marks),
            fontsize=9,
            borderaxespad=0.2,
            handletextpad=0.1,
        )
