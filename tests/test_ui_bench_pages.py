"""The benchmarks of pages and reports measure what they say; how fast anything is, no test says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select
from typer.testing import CliRunner, Result

from eval.made_up_turns import fill_turns
from rag.database import reading, turns
from rag.feedback import Feedback
from rag.kept_answers import read_again
from rag.library import Library
from ui.cli import app
from ui.commands.bench_insights import NAMES

IN_TIME_OR_NOT = (0, 1)  # how busy the machine is, is no fault


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", *arguments])


# ---- insights


def test_made_up_turns_are_as_the_chat_writes_them(engine: Engine) -> None:
    until = datetime(2026, 11, 25, 12, tzinfo=UTC)
    n_verdicts = fill_turns(engine, [f"p{number}" for number in range(9)], "e", 200, days=20, until=until)
    feedback = Feedback(engine)
    assert len(feedback.standing()) == n_verdicts > 5
    with reading(engine) as connection:
        rows = connection.execute(select(turns.c.turn_id, turns.c.asked_at).order_by(turns.c.asked_at)).all()
    assert [rows[0].asked_at[:10], rows[-1].asked_at[:10]] == ["2026-11-05", "2026-11-25"]
    assert len(feedback.turn(rows[0].turn_id).shown) == 5
    (kept,) = read_again(Library(engine), [rows[0].turn_id])
    assert kept.answer.seconds > 0
    assert len(kept.answer.checked) == 3


def test_the_insights_benchmark_looks_at_all_that_it_made_up_and_uses_it_again(tmp_path: Path) -> None:
    for turns_, code in (("300", IN_TIME_OR_NOT), ("300", IN_TIME_OR_NOT), ("200", (2,))):
        result = run("insights", "--turns", turns_, "--days", "40", "--keep", str(tmp_path), "--json")
        assert result.exit_code in code, result.output
        if result.exit_code < 2:
            told = json.loads(result.stdout)
            assert (told["n_turns"], told["n_told"], told["n_days"]) == (300, 300, 40)
            assert told["n_verdicts"] > 0
            assert list(told["steps"]) == list(NAMES)
    assert "holds 300 turns, not 200" in result.stderr


def test_the_insights_benchmark_says_what_took_how_long() -> None:
    result = run("insights", "--turns", "50", "--days", "3")
    assert result.exit_code in IN_TIME_OR_NOT, result.output
    assert "50 questions of 3 days" in result.stdout
    assert all(said in result.stdout for said in NAMES.values())
