"""The plot of `nightjar eval robustness`: right and declined answers over the share of wrong passages, and over the rank."""

from __future__ import annotations

from typing import Any

from eval.answers.robustness import RobustnessResult
from eval.report.output.svg_plots import INK, OURS, PALE, THEIRS, render_svg


def robustness_plot(found: RobustnessResult, title: str) -> str:
    """SVG text: lines over noise in full, over the rank of the right passage dashed, on one axis from 0 to 1."""
    below = f"share of wrong passages among {found.k} (dashed line and top axis: rank of the right passage)"
    return render_svg(lambda axes: _draw(axes, found), title, below, 4.2)


def _draw(axes: Any, found: RobustnessResult) -> None:
    shares = list(found.noise)
    axes.plot(shares, [point.right for point in found.noise.values()], "o-", color=OURS, linewidth=2.4, label="right")
    axes.plot(
        shares, [point.declined for point in found.noise.values()], "o-", color=THEIRS, linewidth=2.4, label="declined"
    )
    places = [(rank - 1) / max(1, found.k - 1) for rank in found.position]
    axes.plot(
        places,
        [point.right for point in found.position.values()],
        "s--",
        color=OURS,
        linewidth=1.2,
        markersize=4,
        label="right, by rank",
    )
    above = axes.secondary_xaxis("top")
    above.set_xticks(places, [f"rank {rank}" for rank in found.position], fontsize=8)
    above.tick_params(length=0)
    above.spines["top"].set_visible(False)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(color=PALE, linewidth=0.6)
    axes.axvline(1.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate("no passage answers", (1.0, 0.93), xytext=(-6, 0), textcoords="offset points", ha="right", fontsize=8)
    axes.legend(loc="center left", frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
