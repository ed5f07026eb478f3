"""`nightjar ingest`, `sources` and `remove`, as people and programs use them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ui.cli import app


@pytest.fixture
def nightjar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str):
        return CliRunner().invoke(app, ["--data", str(tmp_path / "state"), *arguments])

    return run


def test_ingest_lists_failures_exits_with_1_and_encodes_the_rest(nightjar, tmp_path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/lamp.md").write_text("# Lamp\n\nPress the red button.")
    (tmp_path / "docs/broken.pdf").write_text("no pdf")
    result = nightjar("ingest", "docs", "--json")
    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    assert report["added"] == [{"source": "docs/lamp.md", "note": ""}]
    assert [failure["source"] for failure in report["failed"]] == ["docs/broken.pdf"]
    assert (report["n_passages_new"], report["n_encoded"]) == (1, 1)
    again = nightjar("ingest", "docs/lamp.md")
    assert (again.exit_code, again.stdout) == (0, "1 unchanged; 0 new passages, 1 in the library.\n")


def test_other_settings_of_passages_cut_files_anew_when_they_are_ingested_again(
    nightjar, tmp_path, monkeypatch
) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("lamps", "moths"):
        sentences = " ".join(f"The {name} of house {n} are red." for n in range(30))
        (tmp_path / "docs" / f"{name}.md").write_text(f"# {name}\n\nShort.\n\n## Houses\n\n{sentences}\n")
    first = json.loads(nightjar("ingest", "docs", "--json").stdout)
    monkeypatch.setenv("NIGHTJAR__PASSAGES__MAX_TOKENS", "40")
    some = nightjar("ingest", "docs/lamps.md")
    assert "1 changed" in some.stdout
    assert "1 documents are still read or split by earlier settings" in some.stdout
    assert "lose their verdicts" in some.stderr
    rest = json.loads(nightjar("ingest", "docs", "--json").stdout)
    assert [document["source"] for document in rest["changed"]] == ["docs/moths.md"]
    assert rest["n_passages_new"] > first["n_passages_new"] / 2
    assert rest["n_encoded"] == rest["n_passages_new"]
    assert (rest["n_cut_before"], len(json.loads(nightjar("ingest", "docs", "--json").stdout)["unchanged"])) == (0, 2)


def test_sources_are_listed_and_removed_however_the_path_is_spelled(nightjar, tmp_path) -> None:
    from rag.database.schema import open_database
    from rag.ingestion.ingest import ingest_paths
    from rag.library.library import Library
    from rag.splitting.splitter import SplittingRules

    (tmp_path / "docs").mkdir()
    for name in ("a.md", "b.md"):
        (tmp_path / "docs" / name).write_text(f"Text of {name}.")
    engine = open_database(f"sqlite:///{tmp_path / 'state' / 'nightjar.db'}")
    ingest_paths(Library(engine), [tmp_path / "docs"], splitting=SplittingRules(90))
    engine.dispose()
    assert [document["source"] for document in json.loads(nightjar("sources", "--json").stdout)] == [
        "docs/a.md",
        "docs/b.md",
    ]
    assert "docs/a.md" in nightjar("sources").stdout
    assert nightjar("remove", str(tmp_path / "docs" / "a.md")).stdout == f"Removed 1 document: {tmp_path}/docs/a.md\n"
    missing = nightjar("remove", "docs", "nowhere.md")
    assert (missing.exit_code, missing.stdout) == (2, "Removed 1 document: docs\n")
    assert "no source 'nowhere.md' in the library" in missing.stderr
    assert "The library is empty" in nightjar("sources").stdout


def test_ingest_without_anything_says_what_to_name(nightjar) -> None:
    result = nightjar("ingest")
    assert result.exit_code == 2
    assert "name files or folders" in result.stderr


def test_an_ingest_is_a_job_whose_files_can_be_looked_up_afterwards(nightjar, tmp_path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/lamp.md").write_text("# Lamp\n\nPress the red button.")
    (tmp_path / "docs/broken.pdf").write_text("no pdf")
    assert nightjar("jobs").stdout.startswith("No ingest has run yet")
    nightjar("ingest", "docs")
    listed = json.loads(nightjar("jobs", "--json").stdout)
    assert [(document["state"], document["door"], document["files"], document["n_encoded"]) for document in listed] == [
        ("done", "command", {"indexed": 1, "refused": 1}, 1)
    ]
    job = json.loads(nightjar("jobs", listed[0]["job_id"][:8], "--json").stdout)
    assert [(source["source"], source["stage"]) for source in job["sources"]] == [
        ("docs/broken.pdf", "refused"),
        ("docs/lamp.md", "indexed"),
    ]
    assert "docs/lamp.md" in nightjar("jobs", listed[0]["job_id"]).stdout
    over = nightjar("jobs", listed[0]["job_id"], "--cancel")
    assert (over.exit_code, "is over (done)" in over.stderr) == (2, True)
    assert "name the ingest" in nightjar("jobs", "--cancel").stderr


def test_what_is_gone_from_a_folder_is_listed_and_removed_only_when_that_is_said(nightjar, tmp_path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/lamp.md").write_text("Press the red button.")
    nightjar("ingest", "docs")
    (tmp_path / "docs/lamp.md").rename(tmp_path / "docs/light.md")
    kept = json.loads(nightjar("ingest", "docs", "--json").stdout)
    assert kept["vanished"] == [{"source": "docs/lamp.md", "note": ""}]
    assert kept["duplicates"] == [{"source": "docs/light.md", "note": "same bytes as docs/lamp.md"}]
    assert "Gone from the folder, kept" in nightjar("ingest", "docs").stdout
    assert "Gone from the folder, and removed" in nightjar("ingest", "docs", "--remove-vanished").stdout
    assert [document["source"] for document in json.loads(nightjar("sources", "--json").stdout)] == ["docs/light.md"]
    removed = json.loads(nightjar("remove", "docs", "--json").stdout)
    assert removed == [{"source": "docs", "n_documents": 1, "n_passages": 1, "n_verdicts": 0, "versions": []}]


@pytest.mark.slow
def test_the_bench_of_ingesting_times_the_command_beside_the_encoding_alone(nightjar, tmp_path) -> None:
    result = nightjar("bench", "ingest", "--made", "3", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["made"]
    assert (told["n_files"], told["n_failed"], told["again_n_unchanged"]) == (3, 0, 3)
    assert told["n_passages"] > 3
    assert 0 < told["encoding_seconds"] < told["seconds"] < told["command_seconds"]
    assert told["memory_mib"] > 100 and told["reader_memory_mib"] > 10
    assert "nothing to time" in nightjar("bench", "ingest").stderr


def test_made_files_are_the_same_every_time(tmp_path) -> None:
    from eval.bench.workloads.synthetic_files import write_markdown

    first, second = (
        [path.read_text("utf-8") for path in sorted(write_markdown(tmp_path / name, 3).iterdir())] for name in "ab"
    )
    assert first == second
    assert len(set(first)) == 3
    assert first[0].count("\n## ") == 3


def test_sources_are_narrowed_sorted_and_counted(nightjar, tmp_path) -> None:
    (tmp_path / "docs").mkdir()
    for name, text in (("lamp", "Press the red button."), ("moth", "Moths fly.\n\n## Night\n\nThey sleep by day.")):
        (tmp_path / "docs" / f"{name}.md").write_text(f"# {name}\n\n{text}\n")
    nightjar("ingest", "docs")
    found = json.loads(nightjar("sources", "--sort=-passages", "--json").stdout)
    assert [(document["source"], document["n_passages"], document["state"]) for document in found] == [
        ("docs/moth.md", 2, "indexed"),
        ("docs/lamp.md", 1, "indexed"),
    ]
    narrowed = nightjar("sources", "--match", "LAMP").stdout
    assert "docs/lamp.md" in narrowed and "docs/moth.md" not in narrowed
    assert "… and 1 more (--limit)" in nightjar("sources", "--limit", "1").stdout
    refused = nightjar("sources", "--sort", "colour")
    assert (refused.exit_code, "can't be sorted by 'colour'" in refused.stderr) == (2, True)


def test_gaps_are_told_without_names(nightjar, tmp_path) -> None:
    from rag.app.app import open_app
    from rag.records import Turn, utc_now
    from rag.settings import Settings

    (tmp_path / "lamp.md").write_text("# Lamp\n\nPress the red button.")
    nightjar("ingest", "lamp.md")
    assert nightjar("gaps").stdout == "Every question has an answer.\n"
    app = open_app(Settings(data=tmp_path / "state"))
    for number, user in enumerate(("ada", "ben")):
        app.feedback.record_turn(
            Turn(
                turn_id=f"t{number}",
                conversation_id="c",
                user=user,
                question="Where can I park?",
                answer="",
                declined=True,
                encoder_id="v",
                asked_at=utc_now(),
            )
        )
    app.close()
    [gap] = json.loads(nightjar("gaps", "--json").stdout)
    assert (gap["name"], gap["questions"], gap["n_asked"], gap["n_people"]) == ("park", ["Where can I park?"], 2, 2)
    assert gap["closest"]["source"] == "lamp.md"
    table = nightjar("gaps").stdout
    assert "Where can I park?" in table and "lamp.md" in table and "ada" not in table
