"""One ingest as a job: finds the files, brings them in, and keeps in SQL how far each has come, for every door to show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rag.app.app import App
from rag.errors import NightjarError
from rag.ingestion.concurrent_encoding import Encoded
from rag.ingestion.find_files import Found, find_files
from rag.ingestion.ingest import IngestReport
from rag.ingestion.ingest_jobs import Job, JobStage, JobState
from rag.ingestion.progress import Step
from rag.ingestion.progress_recorder import Recorder


class Watching(Protocol):
    """Somebody who looks on."""

    def found(self, found: Found) -> None:
        """The files are known."""

    def step(self, step: Step) -> None:
        """A file has come further; called from several threads."""

    def file_done(self, n: int) -> None:
        """So many files more need no more reading."""


class Nobody:
    """Nobody looks on: what is kept in SQL is enough."""

    def found(self, found: Found) -> None:
        """Passes it over."""

    def step(self, step: Step) -> None:
        """Passes it over."""

    def file_done(self, n: int) -> None:
        """Passes it over."""


def run_ingest(
    app: App, job: Job, watching: Watching | None = None, is_leaving: Callable[[], bool] = lambda: False
) -> tuple[IngestReport, Encoded]:
    """Runs a job that was begun, to its end, and notes the end.

    Where *is_leaving* turns true the application goes away: the job stops as if it were cancelled, and its end is not
    noted.
    """
    state: JobState = "failed"
    note = "it broke off: run it again, it goes on where it stopped"
    try:
        with Recorder(app.jobs, job.job_id) as recorder:
            report, encoded = _run(app, job, recorder, watching or Nobody(), is_leaving)
        state, note = "cancelled" if recorder.is_cancelled() else "done", ""
    except NightjarError as error:
        note = str(error)
        raise
    finally:
        if not is_leaving():
            app.jobs.finish(job.job_id, state, note)
    return report, encoded


def _run(
    app: App, job: Job, recorder: Recorder, watching: Watching, is_leaving: Callable[[], bool]
) -> tuple[IngestReport, Encoded]:
    asked = job.asked
    found = find_files([Path(path) for path in asked.paths], Path(asked.here))
    watching.found(found)
    recorder.stage = "reading"

    def tell(step: Step) -> None:
        recorder.tell(step)
        watching.step(step)

    def enter(stage: JobStage) -> None:
        recorder.stage = stage

    return app.ingest(
        found, tell=tell, stopped=lambda: is_leaving() or recorder.is_cancelled(), progress=watching.file_done,
        enter=enter, remove_vanished=asked.remove_vanished,
    )  # fmt: skip
