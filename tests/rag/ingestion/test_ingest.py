"""Files and BEIR corpora → the library: what is new goes in, what is known costs nothing, what is bad is named."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag.database.schema import open_database
from rag.errors import NotFoundError
from rag.ingestion.find_files import find_files, source_name
from rag.ingestion.ingest import IngestReport, ingest_beir, ingest_paths
from rag.library.library import Library
from rag.splitting.splitter import SplittingRules


@pytest.fixture
def library(engine) -> Library:
    return Library(engine)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder that is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def ingest(library: Library, *paths: str) -> IngestReport:
    return ingest_paths(library, [Path(path) for path in paths], splitting=SplittingRules(30))


def names(outcomes) -> list[str]:
    return [source for source, _ in outcomes]


def guide(*sections: str) -> str:
    return "# Guide\n\n" + "\n\n".join(f"## Part {i}\n\n{text}" for i, text in enumerate(sections))


def test_a_folder_goes_in_and_what_is_skipped_is_listed(library, here) -> None:
    for name in ("docs/a.md", "docs/sub/b.txt", "docs/talk.ppt", "docs/.git/c.md", "docs/.hidden.md", "docs/data.bin"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"Text of {name}.")
    report = ingest(library, "docs")
    assert names(report.added) == ["docs/a.md", "docs/sub/b.txt"]
    assert sorted(names(report.skipped)) == ["docs/.git", "docs/.hidden.md", "docs/data.bin", "docs/talk.ppt"]
    assert "can not be read: save them as .pptx or PDF" in dict(report.skipped)["docs/talk.ppt"]
    assert report.n_passages_new == 2
    (passage,) = [p for p in library.passages() if p.source == "docs/sub/b.txt"]
    assert (passage.title, passage.text) == ("b", "Text of docs/sub/b.txt.")
    assert library.document(passage.document_id).text[passage.start : passage.end] == passage.text


def test_an_unchanged_file_costs_one_hash_and_nothing_else(library, here, monkeypatch) -> None:
    (here / "a.md").write_text(guide("One.", "Two."))
    ingest(library, "a.md")
    revision = library.revision()
    monkeypatch.setattr("rag.ingestion.reader_pool.Parser.parse", lambda *a: pytest.fail("it was read again"))
    report = ingest(library, "a.md")
    assert names(report.unchanged) == ["a.md"]
    assert report.n_passages_new == 0
    assert library.revision() == revision


def test_a_changed_file_replaces_only_its_changed_passages(library, here) -> None:
    (here / "a.md").write_text(guide("First part.", "Second part.", "Third part."))
    ingest(library, "a.md")
    before = {p.passage_id: p for p in library.passages()}
    (here / "a.md").write_text(guide("First part, much longer than before.", "Second part.", "Third part."))
    report = ingest(library, "a.md")
    after = {p.passage_id: p for p in library.passages()}
    assert (names(report.changed), report.n_passages_new) == (["a.md"], 1)
    assert {after[i].text for i in after.keys() - before.keys()} == {"First part, much longer than before."}
    assert {before[i].text for i in before.keys() - after.keys()} == {"First part."}
    for passage in after.values():  # the others have moved, and say so
        assert library.document(passage.document_id).text[passage.start : passage.end] == passage.text


def test_equal_bytes_are_stored_once_and_named(library, here) -> None:
    (here / "a.txt").write_text("The same text.")
    (here / "b.txt").write_text("The same text.")
    report = ingest(library, "a.txt", "b.txt")
    assert report.duplicates == (("b.txt", "same bytes as a.txt"),)
    assert library.n_passages() == 1
    assert ingest(library, ".").duplicates == (("b.txt", "same bytes as a.txt"),)


def test_a_copy_goes_in_when_its_original_changes(library, here) -> None:
    (here / "z.txt").write_text("The same text.")
    ingest(library, "z.txt")
    (here / "a.txt").write_text("The same text.")
    (here / "z.txt").write_text("Another text.")
    report = ingest(library, ".")
    assert (names(report.added), names(report.changed), report.duplicates) == (["a.txt"], ["z.txt"], ())


def test_a_file_that_becomes_a_copy_leaves_nothing_of_its_own(library, here) -> None:
    (here / "a.txt").write_text("One text.")
    (here / "b.txt").write_text("Other text.")
    ingest(library, ".")
    (here / "b.txt").write_text("One text.")
    assert names(ingest(library, ".").duplicates) == ["b.txt"]
    assert [p.text for p in library.passages()] == ["One text."]


def test_one_bad_file_never_stops_the_others(library, here) -> None:
    (here / "a.pdf").write_text("this is no pdf")
    (here / "b.txt").write_text("Good text.")
    (here / "c.txt").write_bytes(b"")
    report = ingest(library, ".", "absent.txt", "notes.xyz")
    assert names(report.added) == ["b.txt"]
    assert names(report.failed) == ["absent.txt", "notes.xyz", "a.pdf", "c.txt"]
    assert "neither a PDF" in dict(report.failed)["a.pdf"]
    assert "check the spelling" in dict(report.failed)["absent.txt"]


def test_what_was_read_before_is_kept_where_a_file_turns_bad(library, here) -> None:
    (here / "a.txt").write_text("Good text.")
    ingest(library, "a.txt")
    (here / "a.txt").write_bytes(b"")
    ((_, reason),) = ingest(library, "a.txt").failed
    assert "what was read of it before is kept" in reason
    assert [p.text for p in library.passages()] == ["Good text."]


def test_a_path_that_can_not_be_followed_refuses_itself_alone(library, here) -> None:
    (here / "docs").mkdir()
    (here / "docs/ok.md").write_text("Good text.")
    (here / "docs/loop.md").symlink_to("loop.md")
    (here / "docs/long.md").symlink_to("x" * 300)
    long = "y" * 300 + ".md"
    report = ingest(library, "docs", long, "docs/loop.md")
    assert names(report.added) == ["docs/ok.md"]
    refused = dict(report.failed)
    assert "leads back to itself" in refused["docs/loop.md"]
    assert "File name too long" in refused["docs/long.md"]
    assert "File name too long" in refused[long]


def test_links_are_followed_only_to_files_inside_the_folder(library, here, tmp_path) -> None:
    (tmp_path / "secret.txt").write_text("Outside.")
    (tmp_path / "outside").mkdir()
    (here / "docs/..data").mkdir(parents=True)
    (here / "docs/..data/config.md").write_text("Inside.")
    (here / "docs/config.md").symlink_to("..data/config.md")  # as Kubernetes mounts files
    (here / "docs/out.txt").symlink_to(tmp_path / "secret.txt")
    (here / "docs/folder").symlink_to(tmp_path / "outside")
    (here / "docs/gone.txt").symlink_to("nowhere.txt")
    os.mkfifo(here / "docs/pipe.txt")
    report = ingest(library, "docs")
    assert names(report.added) == ["docs/config.md"]
    assert dict(report.skipped) == {
        "docs/..data": "hidden",
        "docs/folder": "a link to a folder",
        "docs/gone.txt": "a link to nothing",
        "docs/out.txt": "a link that leads out of the folder",
        "docs/pipe.txt": "no ordinary file",
    }


def test_a_source_is_named_the_same_however_its_path_is_spelled(here, tmp_path) -> None:
    assert (
        source_name(Path("docs/a.md"))
        == source_name(Path("./x/../docs/a.md"))
        == source_name(here / "docs/a.md")
        == "docs/a.md"
    )
    assert source_name(tmp_path / "b.md") == (tmp_path / "b.md").as_posix()
    assert source_name(Path("a\udcff.md")) == "a\\xff.md"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_file_whose_name_is_not_utf8_goes_in(library, here) -> None:
    Path(os.fsdecode(os.fsencode(str(here)) + b"/\xff\xe9.txt")).write_text("Strange name.")
    assert names(ingest(library, ".").added) == ["\\xff\\xe9.txt"]


def test_overlapping_paths_give_each_file_once(here) -> None:
    (here / "docs").mkdir()
    (here / "docs/a.md").write_text("x")
    assert find_files([Path("docs"), Path("docs/a.md"), Path.cwd()]).files == (Path("docs/a.md"),)


def test_progress_counts_every_file(library, here) -> None:
    for name in ("a.txt", "b.txt", "c.pdf"):
        (here / name).write_text("Same.")
    done: list[int] = []
    ingest_paths(library, [here], splitting=SplittingRules(30), on_file_done=done.append)
    assert sum(done) == 3


def test_a_random_history_of_edits_leaves_what_one_fresh_ingest_would(library, here, tmp_path) -> None:
    chance = random.Random(3)
    for _ in range(12):
        for name in ("a.md", "b.md", "c.md"):
            if chance.random() < 0.7:
                parts = [
                    chance.choice(("Red lamp.", "Blue lamp.", "Green lamp.", "No lamp."))
                    for _ in range(chance.randint(1, 4))
                ]
                (here / name).write_text(guide(*parts))
        ingest(library, ".")
    engine = open_database(f"sqlite:///{tmp_path / 'fresh.db'}")
    fresh = Library(engine)
    ingest(fresh, ".")
    known = {p.text: p for p in library.passages()}.keys()
    assert known == {p.text: p for p in fresh.passages()}.keys()
    for passage in library.passages():
        assert library.document(passage.document_id).text[passage.start : passage.end] == passage.text
    engine.dispose()


# ---- BEIR


def write_corpus(folder: Path, *lines: object) -> Path:
    folder.mkdir(exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "corpus.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return folder


def test_a_beir_line_is_one_passage_with_its_id_kept(library, here) -> None:
    folder = write_corpus(
        here / "sci",
        {"_id": "d1", "title": "Moths", "text": "word " * 500, "metadata": 1},
        {"_id": 2, "text": "Lamps."},
        {"_id": "d3", "title": "Only a title"},
    )
    report = ingest_beir(library, folder)
    assert names(report.added) == ["sci/d1", "sci/2", "sci/d3"]
    found = {p.external_id: p for p in library.passages()}
    assert (found["d1"].text, found["d1"].title, found["d1"].source) == ("word " * 500, "Moths", "sci/d1")
    assert found["d3"].encoded_text == "Only a title"
    assert library.resolve(["d1", "2"]) == {"d1": found["d1"].passage_id, "2": found["2"].passage_id}


def test_a_bad_beir_line_is_listed_and_the_others_go_in(library, here) -> None:
    folder = write_corpus(
        here / "sci",
        {"_id": "a", "text": "Fine."},
        "{broken",
        "[1]",
        "",
        {"text": "no id"},
        {"_id": "b", "text": 5},
        {"_id": "c", "text": " "},
        {"_id": "a", "text": "Again."},
        '{"_id": "s", "text": "lone \\ud800 and \\u0000"}',
    )
    report = ingest_beir(library, folder)
    assert names(report.added) == ["sci/a", "sci/s"]
    assert names(report.failed) == [f"sci/corpus.jsonl:{n}" for n in (2, 3, 5, 6, 7, 8)]
    assert [reason.split(" (")[0].split(":")[0] for _, reason in report.failed] == [
        "not JSON",
        "a list, not an object with _id, title and text",
        '"_id" is None',
        '"title" and "text" must be texts',
        "neither title nor text",
        "\"_id\" 'a' is that of line 1, which counts",
    ]
    assert {p.text for p in library.passages()} == {"Fine.", "lone \ufffd and \ufffd"}


def test_only_changed_beir_lines_are_stored_again(library, here) -> None:
    folder = write_corpus(here / "sci", *({"_id": f"d{i}", "title": "T", "text": f"Text {i}."} for i in range(1200)))
    done: list[int] = []
    assert ingest_beir(library, folder, progress=done.append).n_passages_new == 1200
    assert done == [500, 500, 200]
    lines = [{"_id": f"d{i}", "title": "T", "text": f"Text {i}.", "metadata": {"new": i}} for i in range(1200)]
    lines[7]["text"] = "Changed."
    write_corpus(folder, *lines)
    report = ingest_beir(library, folder)
    assert (names(report.changed), len(report.unchanged), report.n_passages_new) == (["sci/d7"], 1199, 1)
    assert library.n_passages() == 1200


def test_equal_beir_lines_with_two_ids_are_two_passages(library, here) -> None:
    """Judgments name both."""
    ingest_beir(library, write_corpus(here / "sci", {"_id": "a", "text": "Same."}, {"_id": "b", "text": "Same."}))
    assert sorted(p.external_id for p in library.passages()) == ["a", "b"]


def test_a_folder_without_corpus_is_refused(library, here) -> None:
    with pytest.raises(NotFoundError, match=r"no corpus\.jsonl"):
        ingest_beir(library, here)


# ---- killed

INGEST = """
import os
import signal
import sys
from pathlib import Path
from sqlalchemy import event
from rag.database.schema import open_database
from rag.ingestion.ingest import ingest_paths
from rag.library.library import Library
from rag.splitting.splitter import SplittingRules
engine = open_database(sys.argv[1])
left = int(sys.argv[3])
def count(connection, cursor, statement, *_):
    global left
    left -= statement.startswith(("INSERT", "UPDATE"))  # three for each batch that is kept
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(engine, "after_cursor_execute", count)
ingest_paths(Library(engine), [Path(sys.argv[2])], splitting=SplittingRules(30))
"""


def test_killed_at_any_moment_every_document_is_whole_or_absent(library, here, tmp_path) -> None:
    """Afterwards the same command brings in the rest, and nothing twice."""
    chance = random.Random(11)
    for number in range(200):
        parts = [f"Document {number}, part {i}: " + "some words more " * chance.randint(1, 12) for i in range(12)]
        (here / f"{number:03}.md").write_text(guide(*parts))
    engine = open_database(f"sqlite:///{tmp_path / 'whole.db'}")
    ingest(Library(engine), str(here))
    whole = _contents(Library(engine))
    engine.dispose()
    assert len(whole) == 200

    url = library.engine.url.render_as_string()
    command = [sys.executable, "-c", INGEST, url, str(here)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    seen: list[int] = []
    for _ in range(4):  # it kills itself in its second batch, at the same places on a machine of any speed
        died = subprocess.run([*command, str(chance.randint(4, 6))], env=environment, cwd=here, check=False, timeout=60)
        assert died.returncode == -signal.SIGKILL
        found = _contents(library)
        assert found.items() <= whole.items()
        seen.append(len(found))
    assert 0 < seen[0] < seen[-1] < 200
    ingest(library, str(here))
    assert _contents(library) == whole


def _contents(library: Library) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Title and passage ids of every source."""
    passages: dict[str, list[str]] = {source: [] for source in library.file_hashes()}
    for passage in library.passages():
        passages[passage.source].append(passage.passage_id)
    return {source.source: (source.title, tuple(passages[source.source])) for source in library.sources()}
