"""Runs the ingests that page and API asked for, one after another, in the application: they outlive every browser tab."""

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

POLL_S = 1.0  # between two looks for a job
INTERRUPTED_NOTE = "interrupted by the end of the application; it went on at the next start"


class IngestQueue:
    """A thread that runs jobs from the moment the application answers until it is stopped."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        self._stop = threading.Event()
        self._job_id: str | None = None
        self._thread = threading.Thread(target=self._run, name="ingests", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends it; a job that runs waits for the next start."""
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
            log.exception("no ingests are run")
            return
        while not self._stop.wait(POLL_S):
            self._look(app)

    def _look(self, app: App) -> None:
        """Runs the job that waits longest, if one does."""
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
    """A job for the files and folders named, which the application then runs.

    Raises:
        UsageError: nothing is named, or something that is not below a folder of `server.folders`.
    """
    here = Path.cwd()
    if not paths:
        raise UsageError("nothing to ingest: name files or folders of the machine that Nightjar runs on")
    for path in paths:
        check_path_allowed(Path(path), here, app.settings.server.folders)
    return app.jobs.create(IngestRequest(tuple(paths), str(here), remove_vanished))


def latest_refused_job(app: App, n_jobs: int) -> tuple[IngestJob, list[str]] | None:
    """The latest job that is over and refused files which no later one took, with their sources; None if all went in."""
    latest = app.jobs.latest(n_jobs)
    refused = app.jobs.refused([job.job_id for job in latest])
    job = next((job for job in latest if job.state in FINAL_STATES and job.job_id in refused.values()), None)
    return (job, [source for source, job_id in refused.items() if job_id == job.job_id]) if job else None


def enqueue_refused(app: App, job: IngestJob, refused: Sequence[str]) -> IngestJob:
    """A job for the files that another one refused; of a member of an archive, for the archive.

    Raises:
        UsageError: a file is not there any more, or is not below a folder of `server.folders`; what was uploaded may.
    """
    here = Path(job.asked.here)
    paths = dict.fromkeys(path for source in refused if (path := _on_disk(here, source)) is not None)
    if not paths:
        raise UsageError("none of the refused files is there any more: bring them in from where they are now")
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
    """Refuses what page and API may not bring in; links count as what they lead to.

    Raises:
        UsageError: the path is hidden, can't be followed, or is not below one of *folders*, which begin at *here*.
    """
    place = _real_path(here / path)
    for folder in (_real_path(here / folder) for folder in folders):
        if place.is_relative_to(folder):
            if any(part.startswith(".") for part in place.relative_to(folder).parts):
                raise UsageError(f'{str(path)!r} is hidden: bring it in with "nightjar ingest"')
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
    """Refuses if page and API may change nothing.

    Raises:
        UsageError: *folders* is empty.
    """
    if not folders:
        raise UsageError(
            'documents are not removed from here, for the setting server.folders is []: use "nightjar remove"'
        )
