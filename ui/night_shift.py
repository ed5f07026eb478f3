"""The night by schedule: `nightjar nightly` as a child process that leaves the application room to answer."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

LATE_S = 6 * 3600  # a night that a sleeping machine missed is made up for within this time
END_S = 3.0  # for a night to end by itself when the application stops
OUTCOMES = {0: "promoted", 3: "kept: the gate said no", 4: "too little data", 75: "another night is running"}


class NightShift:
    """Starts one night a day, never two at once."""

    def __init__(self, at: str, command: Sequence[str]) -> None:
        """*at* is a local time, HH:MM; *command* is `nightly_command`'s."""
        self._at = at
        self._command = list(command)
        self._scheduler: Any = None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Waits for the hour, in threads of its own."""
        from apscheduler.schedulers.background import BackgroundScheduler

        hour, minute = self._at.split(":")
        self._scheduler = BackgroundScheduler()
        self._scheduler.add_job(self.run, "cron", hour=int(hour), minute=int(minute), misfire_grace_time=LATE_S,
                                coalesce=True, max_instances=1)  # fmt: skip
        self._scheduler.start()

    @property
    def next_at(self) -> datetime | None:
        """When the next night begins; None before `start`."""
        found: datetime | None = self._scheduler.get_jobs()[0].next_run_time if self._scheduler else None
        return found

    @property
    def child_pid(self) -> int | None:
        """The process of the latest night."""
        return self._child.pid if self._child else None

    def run(self) -> int | None:
        """Runs one night to its end and returns its exit code; None where the application is stopping."""
        with self._lock:
            if self._stopped:
                return None
            # A session of its own: Ctrl-C is for the application, which ends its child itself.
            self._child = subprocess.Popen(self._command, env=child_environment(), stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        log.info("the night has begun (process %d)", self._child.pid)
        code = self._child.wait()
        level = logging.INFO if code in OUTCOMES else logging.ERROR
        log.log(
            level, "the night has ended with exit code %d (%s)", code, OUTCOMES.get(code, "failed: see the lines above")
        )
        return code

    def stop(self) -> None:
        """No more nights; one that runs is ended, and goes on where it was the next time."""
        with self._lock:
            self._stopped = True
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(END_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)


def nightly_command(data: Path, config: Path | None) -> list[str]:
    """The night's command line, at a lower priority where the system has `nice`."""
    nice = [shutil.which("nice") or "", "-n", "10"] if shutil.which("nice") else []
    where = ["--data", str(data), *(["--config", str(config)] if config else [])]
    return [*nice, sys.executable, "-m", "ui", *where, "nightly", "--json"]


def child_environment() -> dict[str, str]:
    """Ours, with a core left to the application where there is more than one."""
    n_threads = str(max(1, len(os.sched_getaffinity(0)) - 1)) if hasattr(os, "sched_getaffinity") else "1"
    return {**os.environ, "OMP_NUM_THREADS": n_threads, "NIGHTJAR__ENCODER__THREADS": n_threads}
