"""The state directory is its owner's alone, whatever the umask was when its files were made."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.app.app import open_app
from rag.database.schema import open_database
from rag.file_lock import ProcessLock
from rag.settings import Settings
from rag.state_files import close_to_others, write_private_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no rights of this kind")


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077], ids=["umask 0", "umask 022", "umask 077"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_paths(folder: Path) -> list[str]:
    """What in a folder, itself included, others have rights to."""
    return sorted(str(path) for path in (folder, *folder.rglob("*")) if not path.is_symlink() and rights(path) & 0o077)


def opened_up(folder: Path) -> Path:
    """A folder such as an earlier release left under umask 022."""
    (folder / "nights" / "n1").mkdir(parents=True)
    (folder / "nights" / "n1" / "report.html").write_text("questions", "utf-8")
    (folder / "versions" / "b9fe").mkdir(parents=True)
    (folder / "versions" / "b9fe" / "model.safetensors").write_bytes(b"weights")
    for name in ("nightjar.db", "nightjar.db-wal", "nightjar.db-shm", "serve.lock", "votes.jsonl"):
        (folder / name).write_bytes(b"")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def test_what_a_new_database_writes_is_its_owners_alone(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'data' / 'nightjar.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO state VALUES ('a', 'b')")
        names = sorted(path.name for path in (tmp_path / "data").iterdir())
        assert names == ["nightjar.db", "nightjar.db-shm", "nightjar.db-wal"]
        assert open_paths(tmp_path / "data") == []
    engine.dispose()


def test_a_lock_that_makes_the_state_directory_makes_it_private(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "data" / "serve.lock", "the application")
    assert open_paths(tmp_path / "data") == []
    lock.release()


def test_commands_write_into_the_state_directory_what_others_can_not_read(tmp_path: Path) -> None:
    (tmp_path / "owls.md").write_text("# Owls\n\nOwls hunt mice at night.\n", "utf-8")
    data = tmp_path / "data"
    command = [sys.executable, "-m", "ui", "--data", data, "ingest", tmp_path / "owls.md"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (data / "versions").is_dir()
    assert open_paths(data) == []


def test_a_directory_that_others_could_read_is_closed_at_the_start_and_the_log_says_so(tmp_path: Path, caplog) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    engine.dispose()
    data = opened_up(tmp_path / "data")
    (tmp_path / "new.db").replace(data / "nightjar.db")
    (data / "nightjar.db").chmod(0o644)
    for suffix in ("-wal", "-shm"):
        (data / f"nightjar.db{suffix}").unlink()
    with caplog.at_level(logging.WARNING, "rag.state_files"):
        open_app(Settings(data=data)).close()
    assert open_paths(data) == [str(data / "votes.jsonl")]  # a file of the user's, in a folder that is closed now
    assert rights(data) == 0o700 and rights(data / "nights" / "n1" / "report.html") == 0o600
    (record,) = [record for record in caplog.records if record.name == "rag.state_files"]
    assert "other users of this machine had rights to 9 files or folders" in record.getMessage()
    caplog.clear()
    open_app(Settings(data=data)).close()
    assert not caplog.records


def test_the_database_and_the_files_alongside_are_closed_wherever_they_lie(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'ours.db'}")
    engine.dispose()
    (tmp_path / "ours.db").chmod(0o666)
    engine = open_database(f"sqlite:///{tmp_path / 'ours.db'}")
    assert rights(tmp_path / "ours.db") == 0o600
    engine.dispose()


def test_a_file_that_appeared_later_in_a_closed_directory_is_closed_by_a_thorough_look(tmp_path: Path) -> None:
    data = opened_up(tmp_path / "data")
    close_to_others(data, thorough=False)
    late = data / "nights" / "late.log"
    late.write_text("", "utf-8")
    late.chmod(0o644)
    close_to_others(data, thorough=False)
    assert rights(late) == 0o644
    close_to_others(data, thorough=True)
    assert rights(late) == 0o600


def test_a_folder_of_other_things_keeps_its_rights_and_only_our_files_lose_theirs(tmp_path: Path) -> None:
    data = opened_up(tmp_path / "project")
    (data / "src").mkdir(mode=0o755)
    (data / "src").chmod(0o755)
    (data / "src" / "run.sh").touch()
    (data / "src" / "run.sh").chmod(0o755)
    close_to_others(data, thorough=True)
    assert [rights(data / name) for name in (".", "src", "src/run.sh", "votes.jsonl")] == [0o755, 0o755, 0o755, 0o644]
    assert [rights(data / name) for name in ("nightjar.db", "nights", "nights/n1/report.html")] == [0o600, 0o700, 0o600]


def test_links_inside_are_not_followed(tmp_path: Path) -> None:
    data = opened_up(tmp_path / "data")
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.touch()
    elsewhere.chmod(0o644)
    (data / "nights" / "link").symlink_to(elsewhere)
    close_to_others(data, thorough=True)
    assert rights(elsewhere) == 0o644


def test_what_a_process_writes_after_it_asked_for_private_files_is_private(tmp_path: Path) -> None:
    write_private_files()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    assert open_paths(tmp_path / "folder") == []
