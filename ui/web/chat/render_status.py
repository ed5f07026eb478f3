"""Files on their way → what the chat shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.ingestion.ingest_jobs import IngestJob
from rag.ingestion.progress import FileProgress
from ui.html.fragments import render_fragment
from ui.texts import chat as said


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file in a line of its own."""

    stage: str
    name: str
    message: str
    share: float | None
    """The share of the work that is done, 0 to 1; None if there is none to do."""


def render_attached_files(jobs: Sequence[IngestJob], steps: Sequence[FileProgress], refused: Sequence[str]) -> str:
    """Renders each file in a line: its name, its stage in words, and how much of it is encoded."""
    files = [*(_job(job, steps) for job in jobs), *(AttachedFile("failed", "", reason, None) for reason in refused)]
    return render_fragment("chat/attached_files.html.j2", heading=said.ON_THEIR_WAY, files=files)


def _job(job: IngestJob, steps: Sequence[FileProgress]) -> AttachedFile:
    path = job.asked.paths[0]
    own = [step for step in steps if step.source == path or step.source.startswith(f"{path}/")]
    notes = [line.note for line in own if line.stage == "refused"] or ([job.note] if job.note else [])
    stage = "failed" if notes and job.state in ("done", "failed") else job.stage or job.state
    message = said.FILE_STAGES.get(stage, said.FILE_STAGES["reading"])
    if job.n_passages:
        message += " · " + said.FILE_PASSAGES.format(done=job.n_encoded, total=job.n_passages)
    if notes:
        message += ": " + "; ".join(notes)
    share = job.n_encoded / job.n_passages if job.n_passages else (1.0 if job.state == "done" else 0.0)
    return AttachedFile(stage, path.rpartition("/")[2], message, share)
