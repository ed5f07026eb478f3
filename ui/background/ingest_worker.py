"""Runs one ingest as a job: finds the files, ingests them, and keeps the progress of each in SQL for all to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rag.app.app import App
from rag.errors import NightjarError
from rag.ingestion.concurrent_encoding import EncodingReport
from rag.ingestion.find_files import FoundFiles, find_files
from rag.ingestion.ingest import IngestReport
from rag.ingestion.ingest_jobs import IngestJob, JobStage, JobState
from rag.ingestion.progress import FileProgress
from rag.ingestion.progress_recorder import ProgressRecorder


class IngestObserver(Protocol):
    """Is told how an ingest goes on."""

    def found(self, found: FoundFiles) -> None:
        """The files are known."""

    def step(self, step: FileProgress) -> None:
        """A file has made progress; called from several threads."""

    def on_files_read(self, n: int) -> None:
        """This many more files need no more reading."""


class NullIngestObserver:
    """Ignores all progress: what is kept in SQL is enough."""

    def found(self, found: FoundFiles) -> None:
        """Does nothing."""

    def step(self, step: FileProgress) -> None:
        """Does nothing."""

    def on_files_read(self, n: int) -> None:
        """Does nothing."""


def run_ingest(
    app: App, job: IngestJob, observer: IngestObserver | None = None, is_stopping: Callable[[], bool] = lambda: False
) -> tuple[IngestReport, EncodingReport]:
    """Runs a job that was started, and records its end.

    If *is_stopping* turns true, the application is ending: the job stops as if it were cancelled, and its end is not
    recorded.
    """
    state: JobState = "failed"
    note = "it broke off: run it again, and it continues where it stopped"
    try:
        with ProgressRecorder(app.jobs, job.job_id) as recorder:
            report, encoded = _run(app, job, recorder, observer or NullIngestObserver(), is_stopping)
        state, note = "cancelled" if recorder.is_cancelled() else "done", ""
    except NightjarError as error:
        note = str(error)
        raise
    finally:
        if not is_stopping():
            app.jobs.finish(job.job_id, state, note)
    return report, encoded


def _run(
    app: App, job: IngestJob, recorder: ProgressRecorder, observer: IngestObserver, is_stopping: Callable[[], bool]
) -> tuple[IngestReport, EncodingReport]:
    asked = job.asked
    found = find_files([Path(path) for path in asked.paths], Path(asked.here))
    observer.found(found)
    recorder.stage = "reading"

    def tell(step: FileProgress) -> None:
        recorder.tell(step)
        observer.step(step)

    def enter(stage: JobStage) -> None:
        recorder.stage = stage

    return app.ingest(
        found,
        on_progress=tell,
        is_stopped=lambda: is_stopping() or recorder.is_cancelled(),
        progress=observer.on_files_read,
        on_stage=enter,
        remove_vanished=asked.remove_vanished,
    )
