"""Work in a process of its own: its result comes back, and it does not outlive the process that asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retriever_training.bench.harness.subprocess_run import run_in_subprocess

ASKS = """
import os, sys, time
from pathlib import Path
from retriever_training.bench.harness.subprocess_run import run_in_subprocess

def tells_and_sleeps(told):
    Path(told).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    run_in_subprocess(tells_and_sleeps, sys.argv[1])
"""


def test_the_result_comes_from_another_process():
    assert run_in_subprocess(os.getpid) != os.getpid()
    assert run_in_subprocess(divmod, 17, 5) == (3, 2)


def test_an_error_comes_back_as_it_was_raised():
    with pytest.raises(ZeroDivisionError):
        run_in_subprocess(divmod, 1, 0)


def test_a_killed_parent_leaves_no_child_behind(tmp_path: Path):
    told, script = tmp_path / "told", tmp_path / "asks.py"
    script.write_text(ASKS, "utf-8")
    parent = subprocess.Popen([sys.executable, script, told])
    child = int(_until(lambda: told.exists() and told.read_text("utf-8")))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _until(lambda: not _runs(child))


def _until(holds, seconds: float = 60.0):
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def _runs(pid: int) -> bool:
    """Whether it is there and no zombie: nobody may have taken the state of a child whose parent was killed."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
