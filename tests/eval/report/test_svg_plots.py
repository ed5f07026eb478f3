"""Plots are the same bytes for the same figures, and ask nobody for anything."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from eval.report.output.svg_plots import Curve, Dot, dot_plot, nights_plot

DOTS = [
    Dot(label="base", at=0.6, low=0.6, high=0.6, marks={"seen": 0.61, "unseen": 0.59}),
    Dot(label="what others do", at=0.65, low=0.63, high=0.67, is_baseline=True),
    Dot(label="in-batch & more", at=0.7, low=0.68, high=0.72, marks={"seen": 0.71, "unseen": 0.69}),
]


def test_the_same_figures_are_the_same_bytes() -> None:
    assert dot_plot(DOTS, "a set") == dot_plot(DOTS, "a set")


def test_every_line_stands_there_in_words_ours_above_what_others_do() -> None:
    drawn = ElementTree.fromstring(dot_plot(DOTS, "a set", "a unit"))
    words = [text for element in drawn.iter() if (text := (element.text or "").strip())]
    lines = [text for text in words if re.search(r"0\.\d{3}$", text)]
    assert lines == ["base   0.600", "in-batch & more   0.700", "what others do   0.650"]
    assert {"a set", "a unit", "seen", "unseen"} <= set(words)


def test_nothing_is_fetched_and_no_date_is_kept() -> None:
    drawn = dot_plot(DOTS, "a set")
    assert not re.search(r"(href|src|url)\s*[=(]\s*[\"']?https?:", drawn)
    assert "@font-face" not in drawn
    assert "<dc:date>" not in drawn


def test_the_background_is_light() -> None:
    assert "fill: #ffffff" in dot_plot(DOTS, "a set")


def test_curves_name_every_line_and_the_bar_and_are_the_same_bytes_again() -> None:
    lines = [Curve("a set & more", [0.0, -0.01], "pale"), Curve("mean", [0.0, 0.01, 0.02])]
    drawn = nights_plot(lines, "a title", "night", -0.005)
    assert drawn == nights_plot(lines, "a title", "night", -0.005)
    words = [text for element in ElementTree.fromstring(drawn).iter() if (text := (element.text or "").strip())]
    assert {"a title", "night", "a set & more", "mean", "bar -0.005"} <= set(words)
