"""Files on their way and how things are → what the chat shows of them. Everything that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from rag.ingestion.ingest_jobs import IngestJob
from rag.ingestion.progress import FileProgress
from ui.texts import chat as said
from ui.web.components.escape import escape_html


def render_attached_files(jobs: Sequence[IngestJob], steps: Sequence[FileProgress], refused: Sequence[str]) -> str:
    """Each file in a line: its name, its stage in words, and how much of it is encoded."""
    rows = [
        *(_job(job, steps) for job in jobs),
        *(_line("failed", "", escape_html(reason), None) for reason in refused),
    ]
    return f'<div class="nj-files"><div class="nj-quiet">{said.ON_THEIR_WAY}</div>{"".join(rows)}</div>'


def _job(job: IngestJob, steps: Sequence[FileProgress]) -> str:
    path = job.asked.paths[0]
    own = [step for step in steps if step.source == path or step.source.startswith(f"{path}/")]
    notes = [line.note for line in own if line.stage == "refused"] or ([job.note] if job.note else [])
    stage = "failed" if notes and job.state in ("done", "failed") else job.stage or job.state
    told = said.FILE_STAGES.get(stage, said.FILE_STAGES["reading"])
    if job.n_passages:
        told += " · " + said.FILE_PASSAGES.format(done=job.n_encoded, total=job.n_passages)
    if notes:
        told += ": " + escape_html("; ".join(notes))
    share = job.n_encoded / job.n_passages if job.n_passages else (1.0 if job.state == "done" else 0.0)
    return _line(stage, escape_html(path.rpartition("/")[2]), told, share)


def _line(stage: str, name: str, told: str, share: float | None) -> str:
    """*share* of the work that is done, 0 to 1; None if there is none to do."""
    named = f'<span class="nj-title">{name}</span> ' if name else ""
    bar = f'<div class="nj-bar nj-tenths-{int(share * 10)}"><span></span></div>' if share is not None else ""
    return f'<div class="nj-file nj-{stage}">{named}<span class="nj-stage">{told}</span>{bar}</div>'
