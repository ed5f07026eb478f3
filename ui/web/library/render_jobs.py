"""Ingests and documents → what their page shows. Everything that comes from files is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from rag.ingestion.ingest_jobs import IngestJob
from rag.ingestion.progress import FINAL_STAGES, FileProgress
from rag.ingestion.remove_documents import RemovalCounts
from ui.texts import library as own_texts
from ui.texts import shared as texts
from ui.web.components.escape import escape_html

MAX_FILES = 30  # of an ingest
FEW = 8  # files of an ingest that is over, which need no folding


def render_jobs(jobs: Sequence[tuple[IngestJob, Sequence[FileProgress]]]) -> str:
    """Ingests, each with some of its files, as HTML."""
    shown = "".join(_job(job, steps) for job, steps in jobs)
    return f'<div class="nj-jobs"><h2>{texts.INGESTS}</h2>{shown or f"<p>{texts.NO_INGESTS}</p>"}</div>'


def _job(job: IngestJob, steps: Sequence[FileProgress]) -> str:
    parts = [
        texts.JOB_STATES[job.state],
        texts.JOB_STAGES[job.stage],
        ", ".join(f"{n:,} {own_texts.STEP_STAGES[stage]}" for stage, n in job.files.items()),
        texts.N_ENCODED.format(done=job.n_encoded, total=job.n_passages) if job.n_passages else "",
        escape_html(job.note),
    ]
    about = " · ".join(part for part in parts if part)
    n_more = sum(job.files.values()) - len(steps)
    more = f'<p class="nj-hint">{texts.MORE_FILES.format(n=n_more, job=job.job_id[:8])}</p>' if n_more > 0 else ""
    paths = escape_html(", ".join(job.asked.paths))
    files = _steps(_refused_first(steps)) if job.state == "running" else _folded(steps)
    return (
        f'<div class="nj-job nj-{job.state}"><div class="nj-title">{paths}</div><p class="nj-what">{about}</p>'
        f"{_bar(job)}{files}{more}</div>"
    )


def _bar(job: IngestJob) -> str:
    """A bar of how much is done, while it runs."""
    if job.state != "running":
        return ""
    percent = round(100 * share_done(job))
    told = own_texts.JOB_DONE_SHARE.format(percent=percent)
    return f'<div class="nj-progress"><progress value="{percent}" max="100" title="{told}"></progress> {told}</div>'


def share_done(job: IngestJob) -> float:
    """How much of an ingest is done, 0 to 1: files that nothing more happens to, and of stored ones what is encoded.

    The passages of files that are not read yet are not known, so files count alike.
    """
    n_files = sum(job.files.values())
    n_over = sum(n for stage, n in job.files.items() if stage in FINAL_STAGES)
    n_stored = sum(job.files.get(stage, 0) for stage in ("stored", "encoding"))
    encoded = job.n_encoded / job.n_passages if job.n_passages else 0.0
    return (n_over + n_stored * encoded) / n_files if n_files else 0.0


def _steps(steps: Sequence[FileProgress]) -> str:
    if not steps:
        return ""
    rows = "".join(
        f'<tr class="nj-step-{step.stage}"><td>{escape_html(step.source)}</td><td>{own_texts.STEP_STAGES[step.stage]}</td>'
        f"<td>{_encoded(step)}</td><td>{escape_html(step.note)}</td></tr>"
        for step in steps
    )
    return f'<table class="nj-steps"><tbody>{rows}</tbody></table>'


def _refused_first(steps: Sequence[FileProgress]) -> list[FileProgress]:
    return sorted(steps, key=lambda step: step.stage != "refused")


def _folded(steps: Sequence[FileProgress]) -> str:
    """The files of what is over: few of them as they are; of many, refused ones in sight and the others when asked for."""
    if len(steps) <= FEW:
        return _steps(_refused_first(steps))
    refused = [step for step in steps if step.stage == "refused"]
    rest = [step for step in steps if step.stage != "refused"]
    files = f"<details><summary>{texts.FILES.format(n=len(rest))}</summary>{_steps(rest)}</details>" if rest else ""
    return _steps(refused) + files


def _encoded(step: FileProgress) -> str:
    return f"{step.n_encoded:,} / {step.n_passages:,}" if step.n_passages else ""


def format_removed(removed: RemovalCounts) -> str:
    """What went, in sentences."""
    told = [texts.REMOVED_DOCUMENTS.format(n_documents=removed.n_documents, n_passages=removed.n_passages)]
    if removed.n_verdicts:
        told.append(texts.REMOVED_VERDICTS.format(n=removed.n_verdicts))
    if removed.was_trained_on:
        told.append(texts.LEARNT.format(versions=", ".join(removed.was_trained_on)))
    return " ".join(told)
