"""Small plots as SVG inside the page: a few numbers over time, in the page's own colours, light and dark.

Drawn here, for gr.LinePlot evaluates code that a strict CSP forbids, and a picture would need one file for each theme.
The numbers themselves are in the table next to them; here each mark tells its own when it is pointed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ui.html.fragments import escape_html

HEIGHT, TOP, BOTTOM = 150, 8, 20  # pixels; below is room for the days
LEFT, INNER_W = 10.0, 89.0  # per cent of the width, whatever that is: Gradio's sanitiser takes a viewBox away
INNER_H = HEIGHT - TOP - BOTTOM
GAP = 0.25  # of a bar's room
SPARK_W, SPARK_H = 96, 26


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a plot."""

    name: str
    values: Sequence[float | None]
    """One for each label; None leaves a gap."""
    kind: str
    """Names its colour in the style sheet: "good", "bad", "ink", "soft"."""


def bar_chart(series: Sequence[Series], labels: Sequence[str]) -> str:
    """Bars over time, the series stacked upon each other, the first at the bottom."""
    totals = [sum(line.values[index] or 0 for line in series) for index in range(len(labels))]
    most = nice_top(max(totals, default=0))
    room = INNER_W / max(1, len(labels))
    drawn = []
    for index, label in enumerate(labels):
        level = 0.0
        for line in series:
            value = line.values[index] or 0
            y, height = _y(level + value, most), INNER_H * value / most
            if value:
                drawn.append(
                    f'<rect class="nj-p-{line.kind}" x="{LEFT + room * (index + GAP / 2):.2f}%" y="{y:.1f}" '
                    f'width="{room * (1 - GAP):.2f}%" height="{height:.1f}"><title>{escape_html(label)}: {value:,g} '
                    f"{escape_html(line.name)}</title></rect>"
                )
            level += value
    return _framed("".join(drawn), most, labels)


def line_chart(series: Sequence[Series], labels: Sequence[str], top: float | None = None) -> str:
    """Lines over time, broken if nothing is known; *top* is the end of the scale, else the largest value decides."""
    most = top or nice_top(max((value for line in series for value in line.values if value is not None), default=0))
    room = INNER_W / max(1, len(labels))
    drawn = []
    for line in series:
        points = [
            None if value is None else (f"{LEFT + room * (index + 0.5):.2f}%", f"{_y(value, most):.1f}", value)
            for index, value in enumerate(line.values)
        ]
        drawn += [
            f'<line class="nj-p-line nj-p-{line.kind}" x1="{a[0]}" y1="{a[1]}" x2="{b[0]}" y2="{b[1]}"></line>'
            for a, b in pairwise(points)
            if a and b
        ]
        drawn += [
            f'<circle class="nj-p-{line.kind}" cx="{at[0]}" cy="{at[1]}" r="2.6"><title>{escape_html(label)}: {at[2]:,.3g} '
            f"({escape_html(line.name)})</title></circle>"
            for at, label in zip(points, labels, strict=True)
            if at
        ]
    return _framed("".join(drawn), most, labels)


def rank_sparkline(ranks: Sequence[int], deepest: int) -> str:
    """Two ranks or more from version to version, rank 1 on top; on a root scale, for the first ranks matter most.

    The scale reaches to *deepest* at least, which is more than 1.
    """
    scale = max(deepest, *ranks) ** 0.5 - 1
    step = (SPARK_W - 8) / (len(ranks) - 1)
    points = [(4 + step * index, 4 + (SPARK_H - 8) * (rank**0.5 - 1) / scale) for index, rank in enumerate(ranks)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg class="nj-spark" width="{SPARK_W}" height="{SPARK_H}"><polyline class="nj-p-line nj-p-soft" points="{path}">'
        f'</polyline><circle class="nj-p-ink" cx="{x:.1f}" cy="{y:.1f}" r="3"></circle></svg>'
    )


def nice_top(most: float) -> float:
    """The end of a scale that holds *most*: 1, 2 or 5 times a power of ten.

    >>> nice_top(37), nice_top(0.3), nice_top(0)
    (50.0, 0.5, 1.0)
    """
    if most <= 0:
        return 1.0
    power = 10.0 ** (len(f"{most:.0f}") - 1) if most >= 1 else 0.1
    while power * 10 < most:
        power *= 10
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= most)


def _y(value: float, most: float) -> float:
    return TOP + INNER_H * (1 - value / most)


def _framed(drawn: str, most: float, labels: Sequence[str]) -> str:
    """Scale and days around what is drawn."""
    scale = "".join(
        f'<line class="nj-p-grid" x1="{LEFT}%" x2="{LEFT + INNER_W}%" y1="{_y(value, most):.1f}" y2="{_y(value, most):.1f}">'
        f'</line><text class="nj-p-text" x="{LEFT - 1.2}%" y="{_y(value, most) + 4:.1f}" text-anchor="end">{value:,g}</text>'
        for value in (0, most / 2, most)
    )
    room = INNER_W / max(1, len(labels))
    places = sorted({0, len(labels) // 2, len(labels) - 1}) if labels else []
    anchors = {0: "start", len(labels) - 1: "end"}
    days = "".join(
        f'<text class="nj-p-text" x="{LEFT + room * (position + 0.5):.2f}%" y="{HEIGHT - 4}" '
        f'text-anchor="{anchors.get(position, "middle")}">{escape_html(labels[position])}</text>'
        for position in places
    )
    return f'<svg class="nj-plot" width="100%" height="{HEIGHT}">{scale}{drawn}{days}</svg>'
