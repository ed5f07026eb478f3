"""report.md: the decision on one page, for a mail or a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.gate.decide import GateDecision
from eval.report.figures import ReportFigures
from eval.report.output.html_page import HEADLINES, MARKS
from eval.report.question_details import shorten

ROWS = {
    "primary": "served nDCG@10",
    "unseen": "of it, unseen passages",
    "newest": "of it, newest questions",
    "golden": "golden questions",
    "recall": "recall@10",
    "answered": "answered, passage there",
    "declined": "declined, passage gone",
    "support": "sentences with support",
}
LONGEST = 300  # characters of a fact


def render_markdown(
    decision: GateDecision,
    facts: Mapping[str, Any],
    advice: Sequence[str] = (),
    figures: ReportFigures | None = None,
    headline: str = "",
) -> str:
    """The page: what was decided, what to do next, why, the numbers, and what was compared.

    >>> print(render_markdown(GateDecision("invalid", ("Too few.",)), {"tier": 1}))
    # Invalid: too little data to decide; the current version stays
    <BLANKLINE>
    - Too few.
    <BLANKLINE>
    |  |  |
    |---|---|
    | tier | 1 |
    <BLANKLINE>
    """
    lines = [f"# {cell(headline) or HEADLINES[decision.decision]}", ""]
    lines += [f"- {MARKS[ruling.outcome]} {cell(ruling.sentence)}" for ruling in decision.rulings] or [
        f"- {cell(reason)}" for reason in decision.reasons
    ]
    lines.append("")
    if advice:
        lines += [
            "## What to do next",
            "",
            *(f"{n}. {cell(advice_line)}" for n, advice_line in enumerate(advice, start=1)),
            "",
        ]
    tested = {name: decision.figures[key] for key, name in ROWS.items() if decision.figures.get(key)}
    if tested:
        lines += [
            "| measure | n | current | candidate | difference | 95 % interval | p | better · same · worse |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [_row(name, figure) for name, figure in tested.items()] + [""]
    elif figures:
        lines += ["| measure | n | mean | 95 % interval |", "|---|---|---|---|"]
        lines += [
            f"| {row.measure} | {row.n} | {row.alone.mean:.4f} | {row.alone.low:.4f} to {row.alone.high:.4f} |"
            for row in figures.rows
            if row.alone
        ] + [""]
    lines += [
        "|  |  |",
        "|---|---|",
        *(f"| {cell(name)} | {cell(shorten(str(value), LONGEST))} |" for name, value in facts.items()),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, figures: Mapping[str, Any]) -> str:
    cells = (
        name,
        figures["n"],
        f"{figures['mean_current']:.4f}",
        f"{figures['mean_candidate']:.4f}",
        f"{figures['difference']:+.4f}",
        f"{figures['low']:+.4f} to {figures['high']:+.4f}",
        f"{figures['p']:.4f}",
        f"{figures['wins']} · {figures['ties']} · {figures['losses']}",
    )
    return f"| {' | '.join(str(text) for text in cells)} |"


def cell(value: object) -> str:
    """One line of plain text: names and titles in the facts come from documents, so they may hold no markup."""
    text = " ".join(str(value).split())
    for sign in "\\`*_[]<>|!":
        text = text.replace(sign, f"\\{sign}")
    return text
