"""Nights in SQL, those of older releases too."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import update

from rag.database.schema import nights, open_database
from rag.records import utc_now
from retriever_training.versions.night_store import NightStep, NightStore, finish_night
from retriever_training.versions.night_summary import NightSummary


def test_counts_that_were_stored_by_sentence_are_read_by_code(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'nights.db'}")
    night = NightStore(database).start("print", 1)
    old = {
        "reasons": ["No."],
        "dropped": {"people are divided": 3, "passage no longer in the library": 1},
        "unknown": 1,
    }
    with database.begin() as connection:
        connection.execute(
            update(nights).where(nights.c.night_id == night.night_id).values(decision="kept", summary=json.dumps(old))
        )
    stored = NightStore(database).latest()
    assert stored is not None and stored.summary is not None
    assert stored.summary == NightSummary(
        decision="kept", reasons=("No.",), dropped={"people_divided": 3, "passage_gone": 1}
    )


def test_a_night_that_runs_has_no_summary(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'nights.db'}")
    NightStore(database).start("print", 1)
    running = NightStore(database).latest()
    assert running is not None and running.summary is None


def test_a_summary_reads_back_as_it_was_written_and_keeps_the_steps(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'nights.db'}")
    store = NightStore(database)
    night = store.start("print", 3)
    step = NightStep(stage="learning", name="train", total=9, done=4, began_at=utc_now())
    store.store_steps(night.night_id, [step])
    summary = NightSummary(
        decision="promoted",
        reasons=("Better.", "Tier 3 was asked for."),
        tier=3,
        seconds=9.5,
        n_judgments=7,
        n_passages_encoded=40,
        dropped={"person_waits": 2},
        version="c1",
        previous="b0",
        lexical_weight=0.25,
        note={"epochs": 2},
        figures={"primary": {"difference": 0.02}},
        night_id=night.night_id,
        report="nights/report.md",
    )
    with database.begin() as connection:
        finish_night(connection, night.night_id, summary)
    ended = store.latest("print")
    assert ended is not None
    assert (ended.summary, ended.steps, ended.candidate_id) == (summary, (step,), "c1")


def test_what_a_night_did_not_make_is_absent_from_its_json() -> None:
    assert NightSummary(decision="invalid", reasons=("Too little.",), seconds=0.5).as_json() == {
        "decision": "invalid",
        "version": None,
        "tier": None,
        "reasons": ["Too little."],
        "seconds": 0.5,
        "n_judgments": 0,
        "n_passages_encoded": 0,
        "dropped": {},
    }
