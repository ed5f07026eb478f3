"""Ingests as jobs in SQL: what was asked, how far each file has come, and what became of it. Survives any end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Engine, case, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from rag.database.schema import job_files, jobs, read_connection
from rag.database.sql_batches import SQL_BATCH, batched
from rag.errors import NotFoundError, UsageError
from rag.ingestion.progress import FINAL_STAGES, FileProgress, FileStage
from rag.records import utc_now

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
FINAL_STATES: tuple[JobState, ...] = ("done", "failed", "cancelled")
JobStage = Literal["", "finding", "reading", "encoding", "indexing"]
JobOrigin = Literal["application", "command"]
MAX_JOB_STARTS = 3  # of a job that takes the application with it each time
MAX_FINISHED_JOBS = 20  # that are over; older ones are forgotten
HEARTBEAT_TIMEOUT_S = (
    60.0  # without a sign of life; the command that ran it has ended, because it gives one every second
)
_STORED: tuple[FileStage, ...] = ("stored", "encoding", "indexed")


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What to ingest."""

    paths: tuple[str, ...]
    here: str
    """The folder that relative paths, and the names of documents, begin at."""
    remove_vanished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestJob:
    """One ingest that the application was asked for."""

    job_id: str
    state: JobState
    stage: JobStage
    """What it is at; empty before and after."""
    door: JobOrigin
    asked: IngestRequest
    note: str
    """Why it failed, or that it was interrupted."""
    n_starts: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    files: Mapping[str, int]
    """Stage → how many files are at it."""
    n_passages: int
    n_encoded: int


class IngestJobs:
    """The jobs of one library. Threads and processes may share it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    # ---- reading

    def get(self, job_id: str) -> IngestJob:
        """One job.

        Raises:
            NotFoundError: there is none with this id.
        """
        with read_connection(self.engine) as connection:
            row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).first()
            counts = _counts(connection, [job_id])
        if row is None:
            raise NotFoundError(f"no job {job_id!r}: the list of jobs names those that are kept")
        return _job(row._mapping, counts)

    def latest(self, limit: int = 20) -> list[IngestJob]:
        """The newest jobs, newest first."""
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.job_id).limit(limit)
        with read_connection(self.engine) as connection:
            rows = connection.execute(query).all()
            counts = _counts(connection, [row.job_id for row in rows])
        return [_job(row._mapping, counts) for row in rows]

    def files(self, job_id: str, limit: int | None = None) -> list[FileProgress]:
        """How far each file of a job has come: refused ones first, then those that are at it, then by name."""
        stage = job_files.c.stage
        place = case(
            (stage == "refused", -1), (stage.in_([*FINAL_STAGES, "waiting"]), 2), (stage == "stored", 1), else_=0
        )
        query = select(job_files).where(job_files.c.job_id == job_id).order_by(place, job_files.c.source).limit(limit)
        with read_connection(self.engine) as connection:
            rows = connection.execute(query).all()
        return [
            FileProgress(
                source=row.source, stage=row.stage, note=row.note, n_passages=row.n_passages, n_encoded=row.n_encoded
            )
            for row in rows
        ]

    def refused(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Source → job, of files that the last of these jobs which met them refused; *job_ids* are newest first."""
        of_these = job_files.c.job_id.in_(job_ids)
        ever = select(job_files.c.source).where(of_these, job_files.c.stage == "refused")
        query = select(job_files.c.source, job_files.c.job_id, job_files.c.stage)
        with read_connection(self.engine) as connection:
            rows = connection.execute(query.where(of_these, job_files.c.source.in_(ever))).all()
        last: dict[str, tuple[str, str]] = {}
        for row in sorted(rows, key=lambda row: job_ids.index(row.job_id)):
            last.setdefault(row.source, (row.job_id, row.stage))
        return {source: job_id for source, (job_id, stage) in last.items() if stage == "refused"}

    def is_cancelled(self, job_id: str) -> bool:
        """Whether somebody wants the job's end."""
        with read_connection(self.engine) as connection:
            return bool(connection.scalar(select(jobs.c.cancel).where(jobs.c.job_id == job_id)))

    # ---- changing

    def create(self, asked: IngestRequest, door: JobOrigin = "application") -> IngestJob:
        """A new job, which waits for the application; that of a command runs already."""
        job_id, at = uuid.uuid4().hex, utc_now().isoformat()
        runs = {"state": "running", "n_starts": 1, "started_at": at, "beat_at": at}
        with self.engine.begin() as connection:
            connection.execute(
                insert(jobs).values(
                    {
                        "job_id": job_id,
                        "state": "waiting",
                        "stage": "",
                        "door": door,
                        "note": "",
                        "n_starts": 0,
                        "cancel": 0,
                        "asked": json.dumps(asdict(asked)),
                        "created_at": at,
                    }
                    | (runs if door == "command" else {})
                )
            )
            _forget_old(connection)
        return self.get(job_id)

    def start_next(self) -> IngestJob | None:
        """The oldest job that waits, which then runs; None if none does."""
        with self.engine.begin() as connection:
            first = select(jobs.c.job_id).where(jobs.c.state == "waiting").order_by(jobs.c.created_at).limit(1)
            job_id = connection.scalar(first)
            if job_id is None:
                return None
            started = func.coalesce(jobs.c.started_at, utc_now().isoformat())
            connection.execute(
                update(jobs)
                .where(jobs.c.job_id == job_id)
                .values(
                    state="running", n_starts=jobs.c.n_starts + 1, started_at=started, beat_at=utc_now().isoformat()
                )
            )
        return self.get(job_id)

    def record(self, job_id: str, stage: JobStage, steps: Iterable[FileProgress]) -> None:
        """Keeps what the job is at, and the latest step of some files, in one transaction.

        A file that an earlier start of the job stored stays "stored", though it is unchanged now.
        """
        latest = {step.source: step for step in steps}
        with self.engine.begin() as connection:
            beat = {"stage": stage, "beat_at": utc_now().isoformat()}
            connection.execute(update(jobs).where(jobs.c.job_id == job_id, jobs.c.state == "running").values(beat))
            for batch in batched(list(latest.values()), SQL_BATCH):
                _keep_steps(connection, job_id, batch)

    def finish(self, job_id: str, state: JobState, note: str = "") -> None:
        """Ends a job. If it is done, all that was stored is found by searches."""
        with self.engine.begin() as connection:
            if state == "done":
                of_job = (job_files.c.job_id == job_id) & job_files.c.stage.in_(_STORED)
                connection.execute(
                    update(job_files).where(of_job).values(stage="indexed", n_encoded=job_files.c.n_passages)
                )
            connection.execute(
                update(jobs)
                .where(jobs.c.job_id == job_id)
                .values(
                    {"state": state, "stage": "", "finished_at": utc_now().isoformat()}
                    | ({"note": note} if note else {})
                )
            )

    def cancel(self, job_id: str) -> IngestJob:
        """Ends a job that waits, and asks one that runs to end after the file that it is at.

        Raises:
            NotFoundError: there is none with this id.
            UsageError: it is over.
        """
        job = self.get(job_id)
        if job.state in FINAL_STATES:
            raise UsageError(f"job {job_id!r} is over ({job.state}): only one that waits or runs can be cancelled")
        with self.engine.begin() as connection:
            connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(cancel=1))
            waits = (jobs.c.job_id == job_id) & (jobs.c.state == "waiting")
            connection.execute(update(jobs).where(waits).values(state="cancelled", finished_at=utc_now().isoformat()))
        return self.get(job_id)

    def postpone(self, job_id: str) -> None:
        """Has a job wait for the next start of an application that ends as it should; this start does not count."""
        this = (jobs.c.job_id == job_id) & (jobs.c.state == "running")
        with self.engine.begin() as connection:
            connection.execute(update(jobs).where(this).values(state="waiting", stage="", n_starts=jobs.c.n_starts - 1))

    def fail_stale_jobs(self) -> None:
        """Ends the jobs of commands that were killed."""
        before = (utc_now() - timedelta(seconds=HEARTBEAT_TIMEOUT_S)).isoformat()
        silent = (jobs.c.state == "running") & (jobs.c.door == "command") & (jobs.c.beat_at < before)
        why = "its command ended before it was done: run it again, it goes on where it stopped"
        with self.engine.begin() as connection:
            connection.execute(
                update(jobs).where(silent).values(state="failed", stage="", note=why, finished_at=utc_now().isoformat())
            )

    def is_any_running(self) -> bool:
        """Whether any job runs, here or in a command."""
        with read_connection(self.engine) as connection:
            return connection.scalar(select(jobs.c.job_id).where(jobs.c.state == "running").limit(1)) is not None

    def requeue(self, note: str) -> list[str]:
        """Has jobs that ran when their application ended wait again; returns their ids.

        One that was started MAX_STARTS times, or whose end somebody wants, is over instead.
        """
        runs = (jobs.c.state == "running") & (jobs.c.door == "application")
        with self.engine.begin() as connection:
            ended = {"finished_at": utc_now().isoformat(), "stage": ""}
            connection.execute(update(jobs).where(runs, jobs.c.cancel == 1).values(state="cancelled", **ended))
            why = f"interrupted {MAX_JOB_STARTS} times: see the log, and ingest fewer files at a time"
            connection.execute(
                update(jobs).where(runs, jobs.c.n_starts >= MAX_JOB_STARTS).values(state="failed", note=why, **ended)
            )
            ids = list(connection.scalars(select(jobs.c.job_id).where(runs)))
            connection.execute(update(jobs).where(runs).values(state="waiting", stage="", note=note))
        return ids


def _keep_steps(connection: Connection, job_id: str, steps: Iterable[FileProgress]) -> None:
    by_source = {step.source: step for step in steps}
    there = select(job_files.c.source, job_files.c.stage).where(
        job_files.c.job_id == job_id, job_files.c.source.in_(list(by_source))
    )
    before = {row.source: row.stage for row in connection.execute(there)}
    connection.execute(
        delete(job_files).where(
            job_files.c.job_id == job_id,
            job_files.c.source.in_(
                [source for source in before if not _is_from_before(before[source], by_source[source])]
            ),
        )
    )
    rows = [
        {
            "job_id": job_id,
            "source": step.source,
            "stage": step.stage,
            "note": step.note,
            "n_passages": step.n_passages,
            "n_encoded": step.n_encoded,
        }
        for step in by_source.values()
        if step.source not in before or not _is_from_before(before[step.source], step)
    ]
    if rows:
        connection.execute(insert(job_files), rows)


def _is_from_before(stage: str, step: FileProgress) -> bool:
    return stage in _STORED and step.stage == "unchanged"


def _forget_old(connection: Connection) -> None:
    over = (
        select(jobs.c.job_id)
        .where(jobs.c.state.in_(FINAL_STATES))
        .order_by(jobs.c.created_at.desc())
        .offset(MAX_FINISHED_JOBS)
    )
    old = list(connection.scalars(over.limit(SQL_BATCH)))
    if old:
        connection.execute(delete(job_files).where(job_files.c.job_id.in_(old)))
        connection.execute(delete(jobs).where(jobs.c.job_id.in_(old)))


def _counts(connection: Connection, job_ids: list[str]) -> dict[str, list[tuple[str, int, int, int]]]:
    """Job id → (stage, files, passages, encoded) of every stage."""
    query = (
        select(
            job_files.c.job_id,
            job_files.c.stage,
            func.count(),
            func.sum(job_files.c.n_passages),
            func.sum(job_files.c.n_encoded),
        )
        .where(job_files.c.job_id.in_(job_ids))
        .group_by(job_files.c.job_id, job_files.c.stage)
    )
    found: dict[str, list[tuple[str, int, int, int]]] = {}
    for job_id, *rest in connection.execute(query):
        stage, n_files, n_passages, n_encoded = rest
        found.setdefault(job_id, []).append((stage, int(n_files), int(n_passages), int(n_encoded)))
    return found


def _job(row: Mapping[Any, Any], counts: Mapping[str, list[tuple[str, int, int, int]]]) -> IngestJob:
    of_job = counts.get(row["job_id"], [])
    return IngestJob(
        job_id=row["job_id"],
        state=row["state"],
        stage=row["stage"],
        door=row["door"],
        asked=_asked(row["asked"]),
        note=row["note"],
        n_starts=row["n_starts"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        files={stage: n for stage, n, _, _ in sorted(of_job)},
        n_passages=sum(n for _, _, n, _ in of_job),
        n_encoded=sum(n for _, _, _, n in of_job),
    )


def _asked(written: str) -> IngestRequest:
    asked: dict[str, Any] = json.loads(written)
    return IngestRequest(tuple(asked["paths"]), asked["here"], asked["remove_vanished"])
