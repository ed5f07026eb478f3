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
    """A night to start now."""

    model_config = ConfigDict(extra="forbid")

    tier: str = "auto"
    """auto, 1, 2 or 3."""


class RollbackRequest(BaseModel):
    """A confirmed change of the version that answers."""

    model_config = ConfigDict(extra="forbid")

    confirm: ShortText
    """The short name (eight characters) of the version that is to answer."""
    reason: ReasonText


class PromotionRequest(RollbackRequest):
    """A confirmed promotion of one version."""

    version: ShortText


class ReviewRequest(BaseModel):
    """A decision on a doubtful negative."""

    model_config = ConfigDict(extra="forbid")

    question: ShortText
    passage_id: ShortText
    decision: ShortText
    """negative, not_negative or skip."""


def add_training_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""
    admin = TrainingAdmin(opening)
    _add_versions(api, admin)
    _add_nights(api, admin)
    _add_reviews(api, admin)


def _add_versions(api: FastAPI, admin: TrainingAdmin) -> None:
    @api.get("/api/versions")
    def versions(request: Request) -> dict[str, Any]:
        """Lists all retriever versions, the newest first, and which one answers."""
        from retriever_training.versions.timeline import version_timeline

        app = _opened(admin, request)
        entries = version_timeline(app.stores)
        return {"current": app.current().encoder_id, "versions": [version_json(entry) for entry in entries]}

    @api.post("/api/promote")
    def promote(wanted: PromotionRequest, request: Request) -> dict[str, str]:
        """Makes a version answer, whatever the gate said."""
        return {
            "version": admin.promote(wanted.version, wanted.confirm, wanted.reason, _administrator(request)).encoder_id
        }

    @api.post("/api/rollback")
    def rollback(wanted: RollbackRequest, request: Request) -> dict[str, str]:
        """Makes the version before the current one answer again."""
        return {"version": admin.roll_back(wanted.confirm, wanted.reason, _administrator(request)).encoder_id}

    @api.post("/api/versions/free")
    def free(request: Request) -> dict[str, Any]:
        """Frees vectors and indexes that only versions far back in the history need; their files stay."""
        _administrator(request)
        return asdict(admin.free())


def _add_nights(api: FastAPI, admin: TrainingAdmin) -> None:
    @api.get("/api/nights")
    def nights(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 30) -> dict[str, Any]:
        """Lists the nights, the latest first, the one that runs, and when the next begins and whether it has enough data."""
        from retriever_training.versions.night_store import NightStore

        app = _opened(admin, request)
        next_at = admin.opening.nights.next_start_at
        return {
            "running": running_night_json(admin.running()),
            "next_at": next_at.isoformat() if next_at else None,
            "outlook": night_readiness_json(admin.outlook()),
            "nights": [night_json(night) for night in NightStore(app.engine).newest(limit)],
        }

    @api.post("/api/nights/run", status_code=202)
    def run(begun: StartNightRequest, request: Request) -> dict[str, Any]:
        """Starts a night, which runs on its own; /api/nights shows its progress."""
        _administrator(request)
        return {"pid": admin.start(begun.tier), "tier": begun.tier}

    @api.delete("/api/nights/run")
    def cancel(request: Request) -> dict[str, bool]:
        """Cancels the night that runs; the next one continues where it stopped."""
        _administrator(request)
        return {"cancelled": admin.opening.nights.cancel()}

    @api.get("/api/nights/log")
    def log(request: Request) -> dict[str, list[str]]:
        """Returns the last lines of the latest night's log."""
        _administrator(request)
        return {"lines": admin.opening.nights.lines()}


def _add_reviews(api: FastAPI, admin: TrainingAdmin) -> None:
    @api.get("/api/reviews")
    def queue(request: Request) -> dict[str, Any]:
        """Lists negatives that are in doubt, and the decisions on others."""
        from retriever_training.judgments.reviews import ReviewStore

        app = _opened(admin, request)
        doubts = admin.doubtful_negatives()
        passages = app.library.get([name for doubt in doubts for name in (doubt.passage_id, *doubt.right)])
        return {
            "doubts": [doubtful_negative_json(doubt, passages) for doubt in doubts],
            "reviews": [review_json(review) for review in ReviewStore(app.engine).standing()],
        }

    @api.post("/api/reviews")
    def decide(decided: ReviewRequest, request: Request) -> dict[str, Any]:
        """Decides whether a passage is a negative of a question; the next night follows the decision."""
        person = _administrator(request)
        return review_json(admin.decide_review(decided.question, decided.passage_id, decided.decision, person))


def _opened(admin: TrainingAdmin, request: Request) -> App:
    _administrator(request)
    return admin.opening.app()


def _administrator(request: Request) -> CurrentUser:
    """Returns who asks.

    Raises:
        ForbiddenError: this person is not an administrator.
    """
    person = current_user(request)
    person.require_role("administrator")
    return person
