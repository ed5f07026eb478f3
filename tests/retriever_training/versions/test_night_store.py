"""Nights in SQL, those of older releases too."""

from __future__ import annotations

from pathlib import Path

from rag.database.schema import open_database
from retriever_training.versions.night_store import NightStore, finish_night


def test_counts_that_were_stored_by_sentence_are_read_by_code(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'nights.db'}")
    night = NightStore(database).start("print", 1)
    summary = {"decision": "kept", "dropped": {"people are divided": 3, "passage no longer in the library": 1}}
    with database.begin() as connection:
        finish_night(connection, night.night_id, "kept", None, summary)
    stored = NightStore(database).latest()
    assert stored is not None
    assert stored.summary["dropped"] == {"people_divided": 3, "passage_gone": 1}
