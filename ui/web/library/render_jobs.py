"""Ingests and documents → what their page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.ingestion.ingest_jobs import IngestJob
from rag.ingestion.progress import FINAL_STAGES, FileProgress
from rag.ingestion.remove_documents import RemovalCounts
from ui.html.fragments import render_fragment
from ui.texts import library as own_texts
from ui.texts import shared as texts

MAX_FILES = 30  # of an ingest
FEW = 8  # files of an ingest that is over, which need no folding


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJob:
    """An ingest as it is shown."""

    job_id: str
    state: str
    paths: str
    about: str
    percent: int | None
    """How much is done; None if it does not run."""
    in_sight: Sequence[FileProgress]
    folded: Sequence[FileProgress]
    n_more: int
    """Files that are not listed."""


def render_jobs(jobs: Sequence[tuple[IngestJob, Sequence[FileProgress]]]) -> str:
    """Renders ingests, each with some of its files."""
    shown = [_shown(job, steps) for job, steps in jobs]
    return render_fragment("library/jobs.html.j2", jobs=shown, texts=texts, own_texts=own_texts)


def _shown(job: IngestJob, steps: Sequence[FileProgress]) -> ShownJob:
    parts = [
        texts.JOB_STATES[job.state],
        texts.JOB_STAGES[job.stage],
        ", ".join(f"{n:,} {own_texts.STEP_STAGES[stage]}" for stage, n in job.files.items()),
        texts.N_ENCODED.format(done=job.n_encoded, total=job.n_passages) if job.n_passages else "",
        job.note,
    ]
    is_running = job.state == "running"
    in_sight, folded = (_refused_first(steps), []) if is_running else _folded(steps)
    return ShownJob(
        job_id=job.job_id[:8],
        state=job.state,
        paths=", ".join(job.asked.paths),
        about=" · ".join(part for part in parts if part),
        percent=round(100 * share_done(job)) if is_running else None,
        in_sight=in_sight,
        folded=folded,
        n_more=sum(job.files.values()) - len(steps),
    )


def share_done(job: IngestJob) -> float:
    """How much of an ingest is done, 0 to 1: files that nothing more happens to, and of stored ones what is encoded.

    The passages of files that are not read yet are not known, so files count alike.
    """
    n_files = sum(job.files.values())
    n_over = sum(n for stage, n in job.files.items() if stage in FINAL_STAGES)
    n_stored = sum(job.files.get(stage, 0) for stage in ("stored", "encoding"))
    encoded = job.n_encoded / job.n_passages if job.n_passages else 0.0
    return (n_over + n_stored * encoded) / n_files if n_files else 0.0


def _refused_first(steps: Sequence[FileProgress]) -> list[FileProgress]:
    return sorted(steps, key=lambda step: step.stage != "refused")


def _folded(steps: Sequence[FileProgress]) -> tuple[list[FileProgress], list[FileProgress]]:
    """Returns the files that are shown at once, and those that open on a click: of many, refused ones are in sight."""
    if len(steps) <= FEW:
        return _refused_first(steps), []
    refused = [step for step in steps if step.stage == "refused"]
    return refused, [step for step in steps if step.stage != "refused"]


def format_removed(removed: RemovalCounts) -> str:
    """What went, in sentences."""
    told = [texts.REMOVED_DOCUMENTS.format(n_documents=removed.n_documents, n_passages=removed.n_passages)]
    if removed.n_verdicts:
        told.append(texts.REMOVED_VERDICTS.format(n=removed.n_verdicts))
    if removed.was_trained_on:
        told.append(texts.LEARNT.format(versions=", ".join(removed.was_trained_on)))
    return " ".join(told)
