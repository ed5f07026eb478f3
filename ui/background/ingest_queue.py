"""Runs the ingests that pages and API ask for, one after another, in the application: they outlive every browser tab."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from rag.app.app import App
from rag.errors import DocumentError, NightjarError, UsageError
from rag.ingestion.find_files import real_path
from rag.ingestion.ingest_jobs import FINAL_STATES, IngestJob, IngestRequest
from ui.background.ingest_worker import run_ingest
from ui.background.startup import AppStartup
from ui.background.uploads import UPLOAD_FOLDER

log = logging.getLogger(__name__)

POLL_S = 1.0  # how often it looks for a job
INTERRUPTED_NOTE = "interrupted when the application ended; continued at the next start"


class IngestQueue:
    """A thread that runs jobs from the moment the application answers until it is stopped."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        self._stop = threading.Event()
        self._job_id: str | None = None
        self._thread = threading.Thread(target=self._run, name="ingests", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends the thread; a job that runs waits for the next start."""
        self._stop.set()
        if self._job_id is not None:
            self._opening.app().jobs.postpone(self._job_id)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._opening.is_over():
            if self._stop.wait(0.1):
                return
        try:
            app = self._opening.app()
            app.jobs.requeue(INTERRUPTED_NOTE)
        except Exception:
            log.exception("ingests do not run")
            return
        while not self._stop.wait(POLL_S):
            self._run_next(app)

    def _run_next(self, app: App) -> None:
        """Runs the job that has waited longest, if there is one."""
        try:
            app.jobs.fail_stale_jobs()
            job = app.jobs.start_next()
            if job is not None:
                self._job_id = job.job_id
                run_ingest(app, job, is_stopping=self._stop.is_set)
        except NightjarError as error:
            log.warning("an ingest failed: %s", error)
        except Exception:
            log.exception("an ingest failed")
        finally:
            self._job_id = None


def enqueue_ingest(app: App, paths: Sequence[str], *, remove_vanished: bool = False) -> IngestJob:
    """Creates a job for files and folders, which the application then runs.

    Raises:
        UsageError: no path is given, or one is not below a folder of `server.folders`.
    """
    here = Path.cwd()
    if not paths:
        raise UsageError("nothing to ingest: name files or folders of the machine that Nightjar runs on")
    for path in paths:
        check_path_allowed(Path(path), here, app.settings.server.folders)
    return app.jobs.create(IngestRequest(tuple(paths), str(here), remove_vanished))


def latest_refused_job(app: App, n_jobs: int) -> tuple[IngestJob, list[str]] | None:
    """Returns the latest finished job that refused files which no later job took, with their sources, or None."""
    latest = app.jobs.latest(n_jobs)
    refused = app.jobs.refused([job.job_id for job in latest])
    job = next((job for job in latest if job.state in FINAL_STATES and job.job_id in refused.values()), None)
    return (job, [source for source, job_id in refused.items() if job_id == job.job_id]) if job else None


def enqueue_refused(app: App, job: IngestJob, refused: Sequence[str]) -> IngestJob:
    """Creates a job for the files that another one refused; for a member of an archive, the archive is read again.

    Raises:
        UsageError: no file is left, or one is not below a folder of `server.folders`; uploaded files are allowed.
    """
    here = Path(job.asked.here)
    paths = dict.fromkeys(path for source in refused if (path := _on_disk(here, source)) is not None)
    if not paths:
        raise UsageError("none of the refused files exists any more: ingest them from where they are now")
    uploads = app.settings.data.resolve() / UPLOAD_FOLDER
    for path in paths:
        if not _real_path(here / path).is_relative_to(uploads):
            check_path_allowed(path, here, app.settings.server.folders)
    return app.jobs.create(IngestRequest(tuple(map(str, paths)), str(here)))


def _on_disk(here: Path, source: str) -> Path | None:
    """Returns the file that a source is named after, or the archive that it is a member of; None if neither is there."""
    paths = (Path(source), *Path(source).parents)
    return next((path for path in paths if os.path.isfile(here / path)), None)  # noqa: PTH113 -- Path.is_file raises on a bad path


def check_path_allowed(path: Path, here: Path, folders: Sequence[Path]) -> None:
    """Refuses paths that pages and API may not ingest; a link counts as its target.

    Raises:
        UsageError: the path is hidden, can't be resolved, or is not below one of *folders*, which are relative to *here*.
    """
    target = _real_path(here / path)
    for folder in (_real_path(here / folder) for folder in folders):
        if target.is_relative_to(folder):
            if any(part.startswith(".") for part in target.relative_to(folder).parts):
                raise UsageError(f'{str(path)!r} is hidden: use "nightjar ingest" for it')
            return
    allowed = ", ".join(repr(str(folder)) for folder in folders) or "no folder at all"
    raise UsageError(
        f"{str(path)!r} may not be added from here, where the setting server.folders allows {allowed}: "
        'add its folder there, or use "nightjar ingest"'
    )


def _real_path(path: Path) -> Path:
    try:
        return real_path(path)
    except DocumentError as error:
        raise UsageError(f"{str(path)!r} was not added: {error}") from error


def check_removal_allowed(folders: Sequence[Path]) -> None:
    """Refuses if pages and API may change nothing.

    Raises:
        UsageError: *folders* is empty.
    """
    if not folders:
        raise UsageError(
            'documents can not be removed from here, because the setting server.folders is []: use "nightjar remove"'
        )
