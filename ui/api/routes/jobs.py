"""REST: ingests, which bring documents in: begun, watched and ended."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ui.auth.current_user import person_of
from ui.background.ingest_queue import ask_for
from ui.background.startup import Opening
from ui.serializers.answers import job_json, step_json

Name = Annotated[str, Field(min_length=1, max_length=4096)]


class Asked(BaseModel):
    """Files and folders, on the machine that Nightjar runs on."""

    model_config = ConfigDict(extra="forbid")

    paths: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    remove_vanished: bool = False


def add_jobs(api: FastAPI, opening: Opening) -> None:
    """Adds these calls."""

    @api.post("/api/jobs", status_code=202)
    def start(wanted: Asked, request: Request) -> dict[str, Any]:
        """Begins an ingest in the application; ask for its "job_id" how far it is."""
        person_of(request).must("administrator")
        return job_json(ask_for(opening.app(), wanted.paths, remove_vanished=wanted.remove_vanished))

    @api.get("/api/jobs")
    def jobs(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[dict[str, Any]]:
        """Ingests, the newest first."""
        person_of(request).must("administrator")
        return [job_json(job) for job in opening.app().jobs.latest(limit)]

    @api.get("/api/jobs/{job_id}")
    def job(job_id: str, request: Request) -> dict[str, Any]:
        """One ingest."""
        person_of(request).must("administrator")
        return job_json(opening.app().jobs.get(job_id))

    @api.get("/api/jobs/{job_id}/files")
    def files(
        job_id: str, request: Request, limit: Annotated[int, Query(ge=1, le=100_000)] = 1000
    ) -> list[dict[str, Any]]:
        """How far each of its files is: those that something happens to first, then by name."""
        person_of(request).must("administrator")
        known = opening.app().jobs.get(job_id)
        return [step_json(step) for step in opening.app().jobs.files(known.job_id, limit)]

    @api.post("/api/jobs/{job_id}/cancel")
    def cancel(job_id: str, request: Request) -> dict[str, Any]:
        """Ends an ingest after the files that it is at; what is stored stays."""
        person_of(request).must("administrator")
        return job_json(opening.app().jobs.cancel(job_id))
