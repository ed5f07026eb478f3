"""REST: ingests, started, watched and cancelled."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ui.auth.current_user import current_user
from ui.background.ingest_queue import enqueue_ingest
from ui.background.startup import AppStartup
from ui.serializers.answers import file_progress_json, job_json

PathName = Annotated[str, Field(min_length=1, max_length=4096)]


class IngestJobRequest(BaseModel):
    """Files and folders on the machine that Nightjar runs on."""

    model_config = ConfigDict(extra="forbid")

    paths: Annotated[list[PathName], Field(min_length=1, max_length=1000)]
    remove_vanished: bool = False


def add_job_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""

    @api.post("/api/jobs", status_code=202)
    def start(wanted: IngestJobRequest, request: Request) -> dict[str, Any]:
        """Starts an ingest in the application; /api/jobs/{job_id} shows its progress."""
        current_user(request).require_role("administrator")
        return job_json(enqueue_ingest(opening.app(), wanted.paths, remove_vanished=wanted.remove_vanished))

    @api.get("/api/jobs")
    def jobs(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[dict[str, Any]]:
        """Lists ingests, the newest first."""
        current_user(request).require_role("administrator")
        return [job_json(job) for job in opening.app().jobs.latest(limit)]

    @api.get("/api/jobs/{job_id}")
    def job(job_id: str, request: Request) -> dict[str, Any]:
        """Returns one ingest."""
        current_user(request).require_role("administrator")
        return job_json(opening.app().jobs.get(job_id))

    @api.get("/api/jobs/{job_id}/files")
    def files(
        job_id: str, request: Request, limit: Annotated[int, Query(ge=1, le=100_000)] = 1000
    ) -> list[dict[str, Any]]:
        """Shows the progress of each of its files: those being worked on first, then by name."""
        current_user(request).require_role("administrator")
        known = opening.app().jobs.get(job_id)
        return [file_progress_json(step) for step in opening.app().jobs.files(known.job_id, limit)]

    @api.post("/api/jobs/{job_id}/cancel")
    def cancel(job_id: str, request: Request) -> dict[str, Any]:
        """Cancels an ingest after the files that it is working on; what is stored stays."""
        current_user(request).require_role("administrator")
        return job_json(opening.app().jobs.cancel(job_id))
