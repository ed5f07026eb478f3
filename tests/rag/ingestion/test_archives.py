"""Zip archives → the library: every member a document of its own, and nothing that leads out or blows up."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from rag.ingestion.ingest import IngestReport, ingest_paths
from rag.library.library import Library
from rag.parsing.parser import ParsingLimits
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


def ingest(library: Library, *paths: str, limits: ParsingLimits | None = None) -> IngestReport:
    return ingest_paths(library, [Path(path) for path in paths or (".",)], splitting=SplittingRules(30), limits=limits)


def names(outcomes) -> list[str]:
    return [source for source, _ in outcomes]


def zipped(members: dict[str | zipfile.ZipInfo, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def texts(library: Library) -> dict[str, str]:
    return {passage.source: passage.text for passage in library.passages()}


GOOD = {"a.md": "# Lamp\n\nBright.", "inner/b.csv": "Name,Age\nAda,36\n", "inner/": ""}


def test_each_member_is_a_document_named_by_its_place_in_the_archive(library, here) -> None:
    (here / "docs").mkdir()
    (here / "docs/all.zip").write_bytes(zipped(GOOD | {"photo.png": "x", ".git/c.md": "x", "__MACOSX/a.md": "x"}))
    report = ingest(library, "docs")
    assert names(report.added) == ["docs/all.zip/a.md", "docs/all.zip/inner/b.csv", "docs/all.zip"]
    assert dict(report.added)["docs/all.zip"] == "an archive: 2 of 5 file(s) read"
    assert texts(library) == {"docs/all.zip/a.md": "Bright.", "docs/all.zip/inner/b.csv": "Name: Ada\nAge: 36"}
    assert sorted(names(report.skipped)) == [
        f"docs/all.zip/{name}" for name in (".git/c.md", "__MACOSX/a.md", "photo.png")
    ]
    assert report.failed == ()


def test_an_unchanged_archive_costs_one_hash(library, here, monkeypatch) -> None:
    (here / "all.zip").write_bytes(zipped(GOOD))
    ingest(library)
    revision = library.revision()
    monkeypatch.setattr("rag.ingestion.archives.Parser", lambda *a: pytest.fail("it was opened again"))
    report = ingest(library)
    assert (names(report.unchanged), library.revision()) == (["all.zip"], revision)


def test_of_a_changed_archive_what_vanished_goes_and_what_moved_stays(library, here) -> None:
    """The moved one has the bytes of one that vanished, and must not be taken for its copy."""
    (here / "all.zip").write_bytes(zipped({"a.txt": "Stays.", "b.txt": "Moves.", "c.txt": "Goes."}))
    (here / "own.txt").write_text("Goes.")
    assert ingest(library).duplicates == (("own.txt", "same bytes as all.zip/c.txt"),)
    (here / "all.zip").write_bytes(zipped({"a.txt": "Stays.", "new/b.txt": "Moves."}))
    report = ingest(library)
    assert names(report.changed) == ["all.zip"]
    assert sorted(names(report.added)) == ["all.zip/new/b.txt", "own.txt"]
    assert texts(library) == {"all.zip/a.txt": "Stays.", "all.zip/new/b.txt": "Moves.", "own.txt": "Goes."}


def test_an_archive_is_opened_again_where_one_of_its_members_is_not_in_the_library(library, here) -> None:
    """Removed by a person, never stored because the process was killed, or refused by its reader."""
    (here / "all.zip").write_bytes(zipped(GOOD | {"bad.pdf": "no pdf"}))
    assert names(ingest(library).failed) == ["all.zip/bad.pdf"]
    library.remove("all.zip/a.md")
    report = ingest(library)
    assert (names(report.added), names(report.failed)) == (["all.zip/a.md"], ["all.zip/bad.pdf"])


def test_removing_an_archive_removes_its_members(library, here) -> None:
    (here / "all.zip").write_bytes(zipped(GOOD))
    ingest(library)
    assert library.remove("all.zip") == 3
    assert library.sources() == []


def test_the_same_archive_twice_is_read_once(library, here) -> None:
    for name in ("one.zip", "two.zip"):
        (here / name).write_bytes(zipped(GOOD))
    assert ingest(library).duplicates == (("two.zip", "same bytes as one.zip"),)


def test_a_broken_archive_keeps_what_was_read_before_and_stops_nobody(library, here) -> None:
    (here / "all.zip").write_bytes(zipped(GOOD))
    ingest(library)
    (here / "all.zip").write_bytes(zipped(GOOD)[:-30])
    (here / "own.txt").write_text("Own.")
    report = ingest(library)
    ((source, reason),) = report.failed
    assert source == "all.zip"
    assert "the archive is damaged or incomplete" in reason
    assert "what was read of it before is kept" in reason
    assert len(texts(library)) == 3


# ---- hostile archives


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def encrypted(data: bytes) -> bytes:
    """The archive with every member marked as encrypted."""
    out = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = out.find(mark)
        while place >= 0:
            (flags,) = struct.unpack_from("<H", out, place + offset)
            struct.pack_into("<H", out, place + offset, flags | 1)
            place = out.find(mark, place + 1)
    return bytes(out)


def test_names_that_lead_out_or_deceive_are_refused_beside_the_good_ones(library, here, tmp_path) -> None:
    before = sorted(tmp_path.rglob("*"))
    reasons = {
        "/etc/x.txt": "absolute path",
        "C:/x.txt": "absolute path",
        "../../out.txt": "'..' in it",
        "a/../../out2.txt": "'..' in it",
        "..\\..\\out3.txt": "'..' in it",
        "e\x1b[31m.txt": "control characters",
        "r\u202etxt.txt": "control characters",
        "l" * 401 + ".txt": "more than 400 characters",
        "d/" * 40 + "x.txt": "32 folders",
        "inner.zip": "an archive inside an archive is not read",
    }
    members = dict.fromkeys(reasons, "Text of it.") | {link("link.txt"): "/etc/passwd", "good.txt": "Good."}
    (here / "bad.zip").write_bytes(zipped(members))
    report = ingest(library)
    assert names(report.added) == ["bad.zip/good.txt", "bad.zip"]
    failed = dict(report.failed)
    assert len(failed) == len(reasons) + 1
    for reason in (*reasons.values(), "it is a link"):
        assert any(reason in message for message in failed.values()), reason
    assert not any("\x1b" in source or "\u202e" in source for source in failed)
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] == [here / "bad.zip"]


def test_two_members_of_one_name_are_told(library, here) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.txt", "First.")
        archive.writestr("a.txt", "Second.")
    (here / "all.zip").write_bytes(stream.getvalue())
    assert "two files of this name" in dict(ingest(library).failed)["all.zip/a.txt"]
    assert texts(library) == {"all.zip/a.txt": "First."}


def test_a_bomb_is_refused_and_what_lies_beside_it_is_read(library, here) -> None:
    (here / "all.zip").write_bytes(zipped({"bomb.txt": b"\0" * 20 * 1024**2, "good.txt": "Good."}))
    assert "more than 200 times its size" in dict(ingest(library).failed)["all.zip/bomb.txt"]
    assert texts(library) == {"all.zip/good.txt": "Good."}


def test_encrypted_large_and_damaged_members_are_refused(library, here) -> None:
    (here / "locked.zip").write_bytes(encrypted(zipped({"a.txt": "x", "b.txt": "y"})))
    (here / "large.zip").write_bytes(zipped({"a.txt": "word " * 300_000, "b.txt": "Small."}))
    damaged = bytearray(zipped({"a.txt": "A long text to be damaged.", "b.txt": "Whole."}))
    damaged[40] ^= 0xFF
    (here / "damaged.zip").write_bytes(damaged)
    failed = dict(ingest(library, limits=ParsingLimits(file_mib=1)).failed)
    assert "needs a password" in failed["locked.zip/a.txt"]
    assert "none of the 2 file(s) in it can be read" in failed["locked.zip"]
    assert "larger than the 1 MiB" in failed["large.zip/a.txt"]
    assert "damaged inside the archive" in failed["damaged.zip/a.txt"]
    assert texts(library) == {"large.zip/b.txt": "Small.", "damaged.zip/b.txt": "Whole."}


def test_archives_of_too_many_or_too_large_files_are_refused_whole(library, here, monkeypatch) -> None:
    (here / "many.zip").write_bytes(zipped({f"{i}.txt": "" for i in range(10_001)}))
    (here / "empty.zip").write_bytes(zipped({}))
    (here / "office.zip").write_bytes(zipped({"[Content_Types].xml": "x"}))
    failed = dict(ingest(library).failed)
    assert "has 10,001 files, more than the 10,000 allowed" in failed["many.zip"]
    assert "the archive is empty" in failed["empty.zip"]
    assert "an Office file" in failed["office.zip"]
    assert library.sources() == []


def test_names_of_other_systems_are_read(library, here) -> None:
    """Old Windows programs part folders by \\, and some write UTF-8 without saying so."""
    data = zipped({"ordner\\\u00fcbung.txt": "Text."})
    unmarked = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", unmarked, unmarked.find(mark) + offset, 0)
    (here / "a.zip").write_bytes(unmarked)
    assert names(ingest(library).added) == ["a.zip/ordner/\u00fcbung.txt", "a.zip"]
