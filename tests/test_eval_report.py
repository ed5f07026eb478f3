"""A night's report: whole or absent, equal for equal input, and plain text whatever it is about."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from eval.gate import Decision, Served, decide
from eval.report import as_markdown, write_report


def a_decision() -> Decision:
    before = np.array([0.5] * 40)
    after = before + np.array([0.05, 0.15] * 20)
    return decide(Served(before, np.ones(40)), Served(after, np.ones(40)), np.arange(40) < 35,
                  newest=np.arange(40) >= 32)  # fmt: skip


def test_report_holds_page_numbers_and_manifest(tmp_path: Path) -> None:
    page = write_report(tmp_path / "nights" / "2026-01-02", a_decision(), {"tier": 1, "seconds": 12.5})
    assert page.read_text("utf-8").startswith("# Promoted: the candidate answers from now on\n")
    metrics = json.loads((page.parent / "metrics.json").read_text("utf-8"))
    assert metrics["decision"] == "promoted"
    assert metrics["figures"]["primary"]["wins"] == 40
    assert metrics["facts"] == {"tier": 1, "seconds": 12.5}
    manifest = json.loads((page.parent / "manifest.json").read_text("utf-8"))
    assert manifest["report.md"] == hashlib.sha256(page.read_bytes()).hexdigest()
    assert [entry.name for entry in page.parent.parent.iterdir()] == ["2026-01-02"]


def test_equal_input_writes_equal_bytes_also_over_an_older_report(tmp_path: Path) -> None:
    first = write_report(tmp_path / "a", a_decision(), {"tier": 1})
    write_report(tmp_path / "b", Decision("kept", ("No.",)), {"tier": 3})
    second = write_report(tmp_path / "b", a_decision(), {"tier": 1})
    for name in ("report.md", "metrics.json", "manifest.json"):
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes()


def test_table_has_one_row_a_tested_measure() -> None:
    page = as_markdown(a_decision(), {})
    assert "| served nDCG@10 | 40 | 0.5000 | 0.6000 | +0.1000 |" in page
    assert "| of it, unseen passages | 35 |" in page
    assert "| of it, newest questions | 8 |" in page
    assert "| recall@10 | 40 | 1.0000 | 1.0000 | +0.0000 |" in page


def test_names_from_documents_can_not_bring_markup() -> None:
    page = as_markdown(Decision("kept", ("No.",)), {"source": "![x](http://h/)\n# big | <b>"})
    assert "\\!\\[x\\](http://h/) # big \\| \\<b\\>" in page
