"""REST for administrators: versions, nights, promotion and rollback, reviews of doubtful negatives."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from rag.app.app import App
from ui.actions.training_admin import MAX_REASON, TrainingRoom
from ui.auth.current_user import Person, person_of
from ui.background.startup import Opening
from ui.serializers.training import doubt_json, entry_json, night_json, outlook_json, review_json, running_json

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Reason = Annotated[str, Field(min_length=1, max_length=MAX_REASON)]


class Begun(BaseModel):
    """A night that is wanted now."""

    model_config = ConfigDict(extra="forbid")

    tier: str = "auto"
    """auto, 1, 2 or 3."""


class RolledBack(BaseModel):
    """A change of the version that answers, confirmed."""

    model_config = ConfigDict(extra="forbid")

    confirm: Text
    """The short name (eight characters) of the version that shall answer."""
    reason: Reason


class Promoted(RolledBack):
    """The same, with the version that is meant."""

    version: Text


class Decided(BaseModel):
    """A decision on a doubtful negative."""

    model_config = ConfigDict(extra="forbid")

    question: Text
    passage_id: Text
    decision: Text
    """negative, not_negative or skip."""


def add_training(api: FastAPI, opening: Opening) -> None:
    """Adds these calls."""
    room = TrainingRoom(opening)
    _add_versions(api, room)
    _add_nights(api, room)
    _add_reviews(api, room)


def _add_versions(api: FastAPI, room: TrainingRoom) -> None:
    @api.get("/api/versions")
    def versions(request: Request) -> dict[str, Any]:
        """All retriever versions, the newest first, and which one answers."""
        from retriever_training.versions.timeline import timeline

        app = _opened(room, request)
        entries = timeline(app)
        return {"current": app.current().encoder_id, "versions": [entry_json(entry) for entry in entries]}

    @api.post("/api/promote")
    def promote(wanted: Promoted, request: Request) -> dict[str, str]:
        """Makes a version answer, whatever the gate said."""
        return {
            "version": room.promote(wanted.version, wanted.confirm, wanted.reason, _administrator(request)).encoder_id
        }

    @api.post("/api/rollback")
    def rollback(wanted: RolledBack, request: Request) -> dict[str, str]:
        """Makes the version before the current one answer again."""
        return {"version": room.roll_back(wanted.confirm, wanted.reason, _administrator(request)).encoder_id}

    @api.post("/api/versions/free")
    def free(request: Request) -> dict[str, Any]:
        """Frees vectors and indexes that only versions far back in the history need; their files stay."""
        _administrator(request)
        return asdict(room.free())


def _add_nights(api: FastAPI, room: TrainingRoom) -> None:
    @api.get("/api/nights")
    def nights(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 30) -> dict[str, Any]:
        """The nights, the latest first; the one that runs; when the next begins, and whether it has enough."""
        from retriever_training.versions.night_store import Nights

        app = _opened(room, request)
        next_at = room.opening.nights.next_at
        return {
            "running": running_json(room.running()),
            "next_at": next_at.isoformat() if next_at else None,
            "outlook": outlook_json(room.outlook()),
            "nights": [night_json(night) for night in Nights(app.engine).newest(limit)],
        }

    @api.post("/api/nights/run", status_code=202)
    def run(begun: Begun, request: Request) -> dict[str, Any]:
        """Begins a night, which goes on by itself; /api/nights says how far it is."""
        _administrator(request)
        return {"pid": room.start(begun.tier), "tier": begun.tier}

    @api.delete("/api/nights/run")
    def cancel(request: Request) -> dict[str, bool]:
        """Ends the night that runs; the next one goes on where it was."""
        _administrator(request)
        return {"cancelled": room.opening.nights.cancel()}

    @api.get("/api/nights/log")
    def log(request: Request) -> dict[str, list[str]]:
        """The last lines that the latest night said."""
        _administrator(request)
        return {"lines": room.opening.nights.lines()}


def _add_reviews(api: FastAPI, room: TrainingRoom) -> None:
    @api.get("/api/reviews")
    def queue(request: Request) -> dict[str, Any]:
        """Negatives that are in doubt, and what was decided of others."""
        from retriever_training.judgments.reviews import Reviews

        app = _opened(room, request)
        doubts = room.doubts()
        passages = app.library.get([name for one in doubts for name in (one.passage_id, *one.right)])
        return {
            "doubts": [doubt_json(one, passages) for one in doubts],
            "reviews": [review_json(one) for one in Reviews(app.engine).standing()],
        }

    @api.post("/api/reviews")
    def decide(decided: Decided, request: Request) -> dict[str, Any]:
        """Decides on a passage as a negative of a question; the next night follows it."""
        person = _administrator(request)
        return review_json(room.review(decided.question, decided.passage_id, decided.decision, person))


def _opened(room: TrainingRoom, request: Request) -> App:
    _administrator(request)
    return room.opening.app()


def _administrator(request: Request) -> Person:
    """Who asks.

    Raises:
        ForbiddenError: it is no administrator.
    """
    person = person_of(request)
    person.must("administrator")
    return person
