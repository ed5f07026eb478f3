"""The benchmarks of pages and reports measure what they say; how fast anything is, no test says."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from typer.testing import CliRunner, Result

from eval.bench.report import synthetic_comparison
from eval.bench.workloads.synthetic_turns import fill_turns
from rag.answering.stored_answers import load_answers
from rag.database.schema import read_connection, turns
from rag.feedback.feedback_store import FeedbackStore
from rag.library.library import Library
from ui.cli import app
from ui.commands.bench.answering.insights import STEP_LABELS

IN_TIME_OR_NOT = (0, 1)  # how busy the machine is, is no fault


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", *arguments])


# ---- insights


def test_made_up_turns_are_as_the_chat_writes_them(engine: Engine) -> None:
    until = datetime(2026, 11, 25, 12, tzinfo=UTC)
    n_verdicts = fill_turns(engine, [f"p{number}" for number in range(9)], "e", 200, days=20, until=until)
    feedback = FeedbackStore(engine)
    assert len(feedback.standing()) == n_verdicts > 5
    with read_connection(engine) as connection:
        rows = connection.execute(select(turns.c.turn_id, turns.c.asked_at).order_by(turns.c.asked_at)).all()
    assert [rows[0].asked_at[:10], rows[-1].asked_at[:10]] == ["2026-11-05", "2026-11-25"]
    assert len(feedback.turn(rows[0].turn_id).shown) == 5
    (kept,) = load_answers(Library(engine), [rows[0].turn_id])
    assert kept.answer.seconds > 0
    assert len(kept.answer.sentences) == 3


def test_the_insights_benchmark_looks_at_all_that_it_made_up_and_uses_it_again(tmp_path: Path) -> None:
    for turns_, code in (("300", IN_TIME_OR_NOT), ("300", IN_TIME_OR_NOT), ("200", (2,))):
        result = run("insights", "--turns", turns_, "--days", "40", "--keep", str(tmp_path), "--json")
        assert result.exit_code in code, result.output
        if result.exit_code < 2:
            told = json.loads(result.stdout)
            assert (told["n_turns"], told["n_told"], told["n_days"]) == (300, 300, 40)
            assert told["n_verdicts"] > 0
            assert list(told["steps"]) == list(STEP_LABELS)
    assert "holds 300 turns, not 200" in result.stderr


def test_the_insights_benchmark_says_what_took_how_long() -> None:
    result = run("insights", "--turns", "50", "--days", "3")
    assert result.exit_code in IN_TIME_OR_NOT, result.output
    assert "50 questions of 3 days" in result.stdout
    assert all(label in result.stdout for label in STEP_LABELS.values())


# ---- reports


def test_the_report_benchmark_writes_a_whole_report_on_so_many_questions(tmp_path: Path) -> None:
    result = run("report", "--questions", "60", "--no-open", "--out", str(tmp_path), "--json")
    assert result.exit_code in IN_TIME_OR_NOT, result.output
    told = json.loads(result.stdout)
    assert (told["n_questions"], told["opened_s"]) == (60, None)
    written = {file.name: file.read_text("utf-8") for file in (tmp_path / "report").iterdir()}
    assert len(written["per_question.jsonl"].splitlines()) == 60
    assert told["page_kb"] == pytest.approx(len(written["report.html"].encode()) / 1e3, abs=0.1)
    metrics = json.loads(written["metrics.json"])
    assert told["decision"] == metrics["decision"]
    figures = metrics["figures"]["primary"]
    assert figures["mean_candidate"] > figures["mean_current"] > 0.2


def test_made_up_ranks_are_where_the_right_passages_stand() -> None:
    comparison, (current, candidate), _ = synthetic_comparison(200, seed=1)
    for run, ranks in ((comparison.current, current), (comparison.candidate, candidate)):
        assert run is not None
        for question, rank in zip(comparison.questions, ranks, strict=True):
            run_ = run.run[question.query_id]
            assert len(run_) == len(set(run_)) == 100
            assert run_.index(next(iter(question.right_ids))) + 1 == rank


# ---- what is missing is named, with the way out


def test_without_selenium_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "selenium", None)
    result = run("pages")
    assert (result.exit_code, "pip install 'selenium>=4.30'" in result.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [("pages",), ("report", "--questions", "30")])
def test_without_a_browser_the_way_to_one_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run(*arguments)
    assert result.exit_code == 1
    assert "no chromium and no chromedriver on this machine" in result.stderr
    assert "apt install chromium chromium-driver" in result.stderr
