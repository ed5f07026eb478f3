"""`nightjar jobs`: ingests that run or ran, here or in the application, and the progress of their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, escape_unprintable, opened_app, print_json, print_table

if TYPE_CHECKING:
    from rag.ingestion.ingest_jobs import IngestJob, IngestJobs

MAX_FILES_LISTED = 50  # how many files are listed for people; with --json all of them


def jobs(
    context: typer.Context,
    job_id: Annotated[str | None, typer.Argument(help="Show this ingest with its files.", show_default=False)] = None,
    *,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel it after the files that it is working on.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List the ingests and their progress.

    [bold]Examples[/bold]

    nightjar jobs

    nightjar jobs 5f0c1d --json       its files with their stages; the beginning of an id is enough

    nightjar jobs 5f0c1d --cancel
    """
    from rag.errors import UsageError
    from ui.serializers.answers import file_progress_json, job_json

    if cancel and job_id is None:
        raise UsageError('nothing to cancel: name the ingest, as in "nightjar jobs 5f0c1d --cancel"')
    with opened_app(context) as app:
        app.jobs.fail_stale_jobs()
        if job_id is None:
            listed = app.jobs.latest()
            print_json([job_json(job) for job in listed]) if as_json else _print_jobs(listed)
            return
        job = _named(app.jobs, job_id)
        job = app.jobs.cancel(job.job_id) if cancel else job
        steps = app.jobs.files(job.job_id, None if as_json else MAX_FILES_LISTED)
    if as_json:
        print_json({**job_json(job), "sources": [file_progress_json(step) for step in steps]})
        return
    _print_jobs([job])
    rows = [
        [
            escape_unprintable(step.source),
            step.stage,
            str(step.n_passages),
            str(step.n_encoded),
            escape_unprintable(step.note),
        ]
        for step in steps
    ]
    if rows:
        print_table(["file", "stage", "passages", "encoded", ""], rows)


def _named(jobs: IngestJobs, beginning: str) -> IngestJob:
    """Returns the job whose id begins with *beginning*."""
    from rag.errors import UsageError

    matches = [job for job in jobs.latest(1000) if job.job_id.startswith(beginning)]
    if len(matches) > 1:
        raise UsageError(f"the ids of {len(matches)} ingests begin with {beginning!r}: write more of the one you mean")
    return matches[0] if matches else jobs.get(beginning)


def _print_jobs(listed: list[IngestJob]) -> None:
    if not listed:
        typer.echo('No ingest has run yet: "nightjar ingest PATH" adds documents.')
        return
    rows = [
        [
            job.job_id[:8],
            job.stage or job.state,
            job.created_at[:16].replace("T", " "),
            ", ".join(f"{n:,} {stage}" for stage, n in job.files.items()),
            f"{job.n_encoded:,} of {job.n_passages:,}",
            escape_unprintable(", ".join(job.asked.paths)),
            escape_unprintable(job.note),
        ]
        for job in listed
    ]
    print_table(["job", "state", "started (UTC)", "files", "encoded", "paths", ""], rows)
