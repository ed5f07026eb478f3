"""Keeps what a running job tells in SQL, a few times a second, and learns there whether somebody wants its end."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from rag.ingestion.ingest_jobs import IngestJobs, JobStage
from rag.ingestion.progress import FileProgress

WRITE_INTERVAL_S = 0.5  # between two writes: what people see is at most this old


class ProgressRecorder:
    """Takes steps from any thread; writes the latest of each source in a thread of its own until the block ends."""

    def __init__(self, jobs: IngestJobs, job_id: str) -> None:
        self.job_id = job_id
        self.stage: JobStage = "finding"
        """What the job is at; whoever runs it says so here."""
        self._jobs = jobs
        self._latest: dict[str, FileProgress] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._write()

    def tell(self, step: FileProgress) -> None:
        """Takes a step."""
        with self._lock:
            self._latest[step.source] = step

    def is_cancelled(self) -> bool:
        """Whether somebody wanted the job's end when it was last looked."""
        return self._cancelled.is_set()

    def _run(self) -> None:
        while not self._over.wait(WRITE_INTERVAL_S):
            self._write()

    def _write(self) -> None:
        with self._lock:
            steps, self._latest = list(self._latest.values()), {}
        self._jobs.record(self.job_id, self.stage, steps)
        if self._jobs.is_cancelled(self.job_id):
            self._cancelled.set()
