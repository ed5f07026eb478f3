"""A lock between processes: one holder, named to whoever comes second, and freed however the holder ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.errors import BusyError
from rag.file_lock import ProcessLock, is_lock_held

HOLD = """
import subprocess, sys
from pathlib import Path
from rag.file_lock import ProcessLock
lock = ProcessLock(Path(sys.argv[1]), "the night")
sleeper = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
print(sleeper.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def another_holder(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the lock, and the id of a child process of it that goes on when it is killed."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        sleeper_id = int(holder.stdout.readline())
        try:
            yield holder, sleeper_id
        finally:
            holder.kill()
            os.kill(sleeper_id, signal.SIGKILL)


def test_second_process_is_refused_and_learns_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "night.lock"
    with another_holder(path) as (holder, _):
        message = f"the night is held by process {holder.pid}, and only one may open it"
        with pytest.raises(BusyError, match=re.escape(message)):
            ProcessLock(path, "the night")
        assert is_lock_held(path)
        assert path.read_text() == str(holder.pid)  # the refused attempt wrote nothing


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_lock_is_free_when_its_holder_was_killed_although_a_child_of_it_lives(tmp_path: Path, ending: int) -> None:
    path = tmp_path / "night.lock"
    with another_holder(path) as (holder, sleeper_id):
        holder.send_signal(ending)
        assert holder.wait() == -ending
        os.kill(sleeper_id, 0)  # the child is there still
        assert not is_lock_held(path)
        lock = ProcessLock(path, "the night")
        assert path.read_text() == str(os.getpid())
        lock.release()


def test_lock_of_another_thread_or_part_of_the_same_process_is_refused_until_released(tmp_path: Path) -> None:
    path = tmp_path / "serve.lock"
    lock = ProcessLock(path, "the application")
    with pytest.raises(BusyError, match=f"held by process {os.getpid()}"):
        ProcessLock(path, "the application")
    assert is_lock_held(path)
    lock.release()
    assert path.exists()
    assert not is_lock_held(path)
    ProcessLock(path, "the application").release()


def test_lock_file_that_names_nobody_or_a_dead_process_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "serve.lock"
    assert not is_lock_held(path)
    for text in ("", "not a number", "0x10"):
        path.write_text(text)
        assert not is_lock_held(path)
        ProcessLock(path, "the application").release()
