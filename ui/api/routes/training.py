"""REST for administrators: versions, nights, promotion and rollback, reviews of doubtful negatives."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from rag.app.app import App
from ui.actions.training_admin import MAX_REASON_LENGTH, TrainingAdmin
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.serializers.training import (
    doubtful_negative_json,
    night_json,
    night_readiness_json,
    review_json,
    running_night_json,
    version_json,
)

ShortText = Annotated[str, Field(min_length=1, max_length=2000)]
ReasonText = Annotated[str, Field(min_length=1, max_length=MAX_REASON_LENGTH)]


class StartNightRequest(BaseModel):
    """A night that is wanted now."""

    model_config = ConfigDict(extra="forbid")

    tier: str = "auto"
    """auto, 1, 2 or 3."""


class RollbackRequest(BaseModel):
    """A change of the version that answers, confirmed."""

    model_config = ConfigDict(extra="forbid")

    confirm: ShortText
    """The short name (eight characters) of the version that shall answer."""
    reason: ReasonText


class PromotionRequest(RollbackRequest):
    """The same, with the version that is meant."""

    version: ShortText


class ReviewRequest(BaseModel):
    """A decision on a doubtful negative."""

    model_config = ConfigDict(extra="forbid")

    question: ShortText
    passage_id: ShortText
    decision: ShortText
    """negative, not_negative or skip."""


def add_training_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these calls."""
    room = TrainingAdmin(opening)
    _add_versions(api, room)
    _add_nights(api, room)
    _add_reviews(api, room)


def _add_versions(api: FastAPI, room: TrainingAdmin) -> None:
    @api.get("/api/versions")
    def versions(request: Request) -> dict[str, Any]:
        """All retriever versions, the newest first, and which one answers."""
        from retriever_training.versions.timeline import version_timeline

        app = _opened(room, request)
        entries = version_timeline(app.stores)
        return {"current": app.current().encoder_id, "versions": [version_json(entry) for entry in entries]}

    @api.post("/api/promote")
    def promote(wanted: PromotionRequest, request: Request) -> dict[str, str]:
        """Makes a version answer, whatever the gate said."""
        return {
            "version": room.promote(wanted.version, wanted.confirm, wanted.reason, _administrator(request)).encoder_id
        }

    @api.post("/api/rollback")
    def rollback(wanted: RollbackRequest, request: Request) -> dict[str, str]:
        """Makes the version before the current one answer again."""
        return {"version": room.roll_back(wanted.confirm, wanted.reason, _administrator(request)).encoder_id}

    @api.post("/api/versions/free")
    def free(request: Request) -> dict[str, Any]:
        """Frees vectors and indexes that only versions far back in the history need; their files stay."""
        _administrator(request)
        return asdict(room.free())


def _add_nights(api: FastAPI, room: TrainingAdmin) -> None:
    @api.get("/api/nights")
    def nights(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 30) -> dict[str, Any]:
        """The nights, the latest first; the one that runs; when the next begins, and whether it has enough."""
        from retriever_training.versions.night_store import NightStore

        app = _opened(room, request)
        next_at = room.opening.nights.next_start_at
        return {
            "running": running_night_json(room.running()),
            "next_at": next_at.isoformat() if next_at else None,
            "outlook": night_readiness_json(room.outlook()),
            "nights": [night_json(night) for night in NightStore(app.engine).newest(limit)],
        }

    @api.post("/api/nights/run", status_code=202)
    def run(begun: StartNightRequest, request: Request) -> dict[str, Any]:
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


def _add_reviews(api: FastAPI, room: TrainingAdmin) -> None:
    @api.get("/api/reviews")
    def queue(request: Request) -> dict[str, Any]:
        """Negatives that are in doubt, and what was decided of others."""
        from retriever_training.judgments.reviews import ReviewStore

        app = _opened(room, request)
        doubts = room.doubtful_negatives()
        passages = app.library.get([name for doubt in doubts for name in (doubt.passage_id, *doubt.right)])
        return {
            "doubts": [doubtful_negative_json(doubt, passages) for doubt in doubts],
            "reviews": [review_json(review) for review in ReviewStore(app.engine).standing()],
        }

    @api.post("/api/reviews")
    def decide(decided: ReviewRequest, request: Request) -> dict[str, Any]:
        """Decides on a passage as a negative of a question; the next night follows it."""
        person = _administrator(request)
        return review_json(room.decide_review(decided.question, decided.passage_id, decided.decision, person))


def _opened(room: TrainingAdmin, request: Request) -> App:
    _administrator(request)
    return room.opening.app()


def _administrator(request: Request) -> CurrentUser:
    """Who asks.

    Raises:
        ForbiddenError: it is no administrator.
    """
    person = current_user(request)
    person.require_role("administrator")
    return person
