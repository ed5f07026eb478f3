"""A decision in a folder: for people a page and a summary, for programs every figure, and for CI the rules."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eval.gate.decide import GateDecision
from eval.report.comparison import Comparison
from eval.report.figures import ReportFigures, compute_figures, figures_as_json
from eval.report.output.html_page import render_index, render_page
from eval.report.output.machine_files import junit_xml, question_lines, trec_qrels, trec_run
from eval.report.output.markdown_summary import render_markdown
from eval.report.provenance import EMPTY_CONTEXT, MANIFEST, ReportContext, past_reports
from eval.report.recommendations import recommendations

SCHEMA = 3
"""Of metrics.json; 2 added rules, comparison, checks and next, 3 causes."""


def write_report(
    folder: Path,
    decision: GateDecision,
    facts: Mapping[str, Any],
    comparison: Comparison | None = None,
    background: ReportContext = EMPTY_CONTEXT,
    headline: str = "",
) -> Path:
    """Writes a report into *folder*, all at once, and returns the path of report.md.

    A folder without manifest.json is not a report: everything is written next to it, the manifest last, and then
    renamed. A report that is there already is replaced. *facts* say what was compared (versions, tier, seconds,
    counts); equal input writes equal bytes. Without a *comparison* there are no figures of single questions.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    figures = compute_figures(comparison) if comparison else None
    if comparison and figures:
        _write_comparison(temporary, comparison, figures)
        said = recommendations(decision, comparison, figures, background)
    else:
        said = [*background.advice] or list(decision.reasons)
    metrics = {
        "schema": SCHEMA,
        "decision": decision.decision,
        "reasons": list(decision.reasons),
        "rules": [_rule(ruling) for ruling in decision.rulings],
        "figures": decision.figures,
        "facts": dict(facts),
        "comparison": figures_as_json(figures) if figures else None,
        "next": said,
        "causes": comparison.causes.as_json() if comparison and comparison.causes else None,
        "checks": [_check(check) for check in background.checks],
    }
    (temporary / "metrics.json").write_text(_json(metrics), "utf-8")
    told = {name: value for name, value in facts.items() if name != "settings"}  # all of them are for programs
    (temporary / "report.md").write_text(render_markdown(decision, told, said, figures, headline), "utf-8")
    page = render_page(
        decision, told, background=background, advice=said, comparison=comparison, figures=figures, headline=headline
    )
    (temporary / "report.html").write_text(page, "utf-8", "xmlcharrefreplace")  # a lone surrogate of a name, too
    (temporary / "junit.xml").write_bytes(junit_xml(decision))
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(temporary.iterdir())}
    (temporary / MANIFEST).write_text(_json(hashes), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    return folder / "report.md"


def write_index(folder: Path) -> Path:
    """Writes index.html, which lists the reports `NAME/report` below *folder*, newest first; alongside, then renamed."""
    listed = []
    for past in reversed(past_reports(folder, n=1_000)):
        page = "report.html" if (folder / past.name / "report" / "report.html").is_file() else "report.md"
        listed.append((past, page))
    temporary = folder / f".index.html.{os.getpid()}"
    temporary.write_text(render_index(listed), "utf-8", "xmlcharrefreplace")
    return temporary.replace(folder / "index.html")


def _write_comparison(temporary: Path, comparison: Comparison, figures: ReportFigures) -> None:
    for name, run in comparison.versions.items():
        if name != "anchor":
            _write_lines(temporary / f"run_{name}.trec", trec_run(run, name))
    _write_lines(temporary / "qrels.trec", trec_qrels(comparison))
    _write_lines(temporary / "per_question.jsonl", question_lines(comparison, figures))


def _write_lines(file: Path, lines: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.writelines(lines)


def _rule(ruling: Any) -> dict[str, str]:
    return {"name": ruling.name, "family": ruling.family, "outcome": ruling.outcome, "sentence": ruling.sentence}


def _check(check: Any) -> dict[str, Any]:
    return {"name": check.name, "is_fine": check.is_fine, "sentence": check.sentence}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
