"""Nights by schedule or by hand: `nightjar nightly` as a child process, so that the application can go on answering."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rag.errors import BusyError, UsageError
from rag.file_lock import is_lock_held
from rag.records import utc_now

log = logging.getLogger(__name__)

MISFIRE_GRACE_S = 6 * 3600  # a night that a sleeping machine missed is run later, but within this time
STOP_TIMEOUT_S = 3.0  # how long a night may take to end when the application stops
EXIT_CODE_LABELS = {0: "promoted", 3: "kept: the gate said no", 4: "too little data", 75: "another night is running"}
TIERS = ("auto", "1", "2", "3")
MAX_LOG_LINES = 200  # this many lines of a night's output are kept
N_FAILURE_LOG_LINES = 20  # this many of them go into our own log if the night failed


@dataclass(frozen=True, slots=True)
class NightExit:
    """How the latest night of this process ended."""

    code: int
    at: datetime


class NightScheduler:
    """Starts one night a day, and others on demand, never two at once."""

    def __init__(self, at: str, command: Sequence[str], data: Path | None = None) -> None:
        """*at* is a local time, HH:MM; *command* is that of `nightly_command`; a night's output is kept below *data*."""
        self._at = at
        self._command = list(command)
        self._data = data
        self._scheduler: Any = None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self.began_at: datetime | None = None
        """When the latest night of this process began."""
        self.last_exit: NightExit | None = None
        """How it ended; None while it runs, and before the first one."""

    def start(self) -> None:
        """Starts the schedule, in its own threads."""
        from apscheduler.schedulers.background import BackgroundScheduler

        hour, minute = self._at.split(":")
        self._scheduler = BackgroundScheduler()
        self._scheduler.add_job(
            self.run,
            "cron",
            hour=int(hour),
            minute=int(minute),
            misfire_grace_time=MISFIRE_GRACE_S,
            coalesce=True,
            max_instances=1,
        )
        self._scheduler.start()

    @property
    def next_start_at(self) -> datetime | None:
        """When the next night begins; None before `start`."""
        next_run: datetime | None = self._scheduler.get_jobs()[0].next_run_time if self._scheduler else None
        return next_run

    @property
    def child_pid(self) -> int | None:
        """The process id of the latest night."""
        return self._child.pid if self._child else None

    @property
    def is_running(self) -> bool:
        """Whether a night of this process runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def runs_elsewhere(self) -> bool:
        """Whether a night runs on this state directory that this process did not start."""
        return not self.is_running and self._data is not None and is_lock_held(self._data / "night.lock")

    def run(self) -> int | None:
        """Runs one night to its end and returns its exit code; None if a night runs already, or the application is stopping."""
        try:
            return self._wait_for(self._begin([]))
        except BusyError as error:
            log.info("no night is started: %s", error)
            return None

    def start_night(self, tier: str = "auto") -> int:
        """Starts a night and returns its process id; it goes on if the page is closed.

        Raises:
            BusyError: a night runs already, or the application is stopping.
            UsageError: the tier does not exist.
        """
        if tier not in TIERS:
            raise UsageError(f"there is no tier {tier!r}: use one of {', '.join(TIERS)}")
        if self.runs_elsewhere:
            raise BusyError("a night runs already, in another process: wait until it ends")
        child = self._begin(["--tier", tier])
        threading.Thread(target=self._wait_for, args=(child,), name="night", daemon=True).start()
        return child.pid

    def cancel(self) -> bool:
        """Ends the night that runs; the next one continues where it stopped. False if this process runs none."""
        child = self._child
        if child is None or child.poll() is not None:
            return False
        log.info("the night is cancelled (process %d)", child.pid)
        _end(child)
        return True

    def stop(self) -> None:
        """Starts no more nights, and ends one that runs; the next one continues where it stopped."""
        with self._lock:
            self._stopped = True
        if self._child is not None and self._child.poll() is None:
            _end(self._child)
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)

    def lines(self, n: int = MAX_LOG_LINES) -> list[str]:
        """Returns the last *n* lines of the latest night's output, also of a night before this start of the application."""
        file = self._log_file()
        if file is None or not file.is_file():
            return []
        with file.open("rb") as log_file:
            log_file.seek(max(0, file.stat().st_size - 1000 * n))
            return log_file.read().decode("utf-8", "replace").splitlines()[-n:]

    def _begin(self, options: list[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise BusyError("the application is stopping: the next start runs the night")
            if self.is_running:
                raise BusyError(f"a night runs already, as process {self.child_pid}: wait until it ends, or cancel it")
            self.began_at, self.last_exit = utc_now(), None
            # In its own session: Ctrl-C is for the application, which ends its child itself.
            self._child = self._spawn([*self._command, *options])
        log.info("the night has begun (process %d)", self._child.pid)
        return self._child

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Starts the child; its output goes into a file, not through a pipe, so that it survives us."""
        file = self._log_file()
        if file is None:
            return subprocess.Popen(
                command,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as log_file:
            return subprocess.Popen(
                command,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_for(self, child: subprocess.Popen[bytes]) -> int:
        code = child.wait()
        self.last_exit = NightExit(code, utc_now())
        self._keep_last_lines()
        if code in EXIT_CODE_LABELS:
            log.info("the night has ended with exit code %d (%s)", code, EXIT_CODE_LABELS[code])
        else:
            last_lines = "\n".join(self.lines(N_FAILURE_LOG_LINES))
            log.error("the night has ended with exit code %d (failed, or was ended)\n%s", code, last_lines)
        return code

    def _keep_last_lines(self) -> None:
        file, lines = self._log_file(), self.lines()
        if file is not None and lines:
            part = file.with_suffix(".part")
            part.write_text("\n".join(lines) + "\n", "utf-8")
            part.replace(file)

    def _log_file(self) -> Path | None:
        return self._data / "nights" / "latest.log" if self._data else None


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()


def nightly_command(data: Path, config: Path | None) -> list[str]:
    """Returns the night's command line, at a lower priority if the system has `nice`."""
    nice = [shutil.which("nice") or "", "-n", "10"] if shutil.which("nice") else []
    options = ["--data", str(data), *(["--config", str(config)] if config else [])]
    return [*nice, sys.executable, "-m", "ui", *options, "--verbose", "nightly"]


def child_environment() -> dict[str, str]:
    """Returns our environment, with one core left to the application if there is more than one."""
    n_threads = str(max(1, len(os.sched_getaffinity(0)) - 1)) if hasattr(os, "sched_getaffinity") else "1"
    return {**os.environ, "OMP_NUM_THREADS": n_threads, "NIGHTJAR__ENCODER__THREADS": n_threads}
