"""A night's decision on one page for people (report.md) and in one file for programs (metrics.json)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.gate import Decision

MANIFEST = "manifest.json"
HEADLINES = {
    "promoted": "Promoted: the candidate answers from now on",
    "kept": "Kept: the current version stays",
    "invalid": "Invalid: too little data to decide; the current version stays",
}
ROWS = {
    "primary": "served nDCG@10",
    "unseen": "of it, unseen passages",
    "newest": "of it, newest questions",
    "recall": "recall@10",
}


def write_report(folder: Path, decision: Decision, facts: Mapping[str, Any]) -> Path:
    """Writes report.md and metrics.json into *folder*, all at once, and returns the path of report.md.

    A folder without manifest.json is not a report: everything is written beside it, the manifest last, and then
    renamed. A report that is there already is replaced. *facts* say what was compared (versions, tier, seconds,
    counts); equal input writes equal bytes.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    metrics = {"schema": 1, "decision": decision.decision, "reasons": list(decision.reasons),
               "figures": decision.figures, "facts": dict(facts)}  # fmt: skip
    (beside / "metrics.json").write_text(_json(metrics), "utf-8")
    (beside / "report.md").write_text(as_markdown(decision, facts), "utf-8")
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(beside.iterdir())}
    (beside / MANIFEST).write_text(_json(hashes), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    beside.replace(folder)
    return folder / "report.md"


def as_markdown(decision: Decision, facts: Mapping[str, Any]) -> str:
    """The page: what was decided, why, the numbers, and what was compared.

    >>> print(as_markdown(Decision("invalid", ("Too few.",)), {"tier": 1}))
    # Invalid: too little data to decide; the current version stays
    <BLANKLINE>
    - Too few.
    <BLANKLINE>
    |  |  |
    |---|---|
    | tier | 1 |
    <BLANKLINE>
    """
    lines = [f"# {HEADLINES[decision.decision]}", "", *(f"- {_cell(reason)}" for reason in decision.reasons), ""]
    tested = {name: decision.figures[key] for key, name in ROWS.items() if decision.figures.get(key)}
    if tested:
        lines += ["| measure | n | current | candidate | difference | 95 % interval | p | better · same · worse |",
                  "|---|---|---|---|---|---|---|---|"]  # fmt: skip
        lines += [_row(name, figures) for name, figures in tested.items()] + [""]
    lines += ["|  |  |", "|---|---|", *(f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()), ""]
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
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _cell(value: object) -> str:
    """One line of plain text: names and titles in the facts come from documents, so they may hold no markup."""
    text = " ".join(str(value).split())
    for sign in "\\`*_[]<>|!":
        text = text.replace(sign, f"\\{sign}")
    return text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
