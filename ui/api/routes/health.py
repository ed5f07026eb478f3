"""REST: which version answers, and whether the process is alive and ready."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from sqlalchemy import false, update
from sqlalchemy.exc import SQLAlchemyError

from rag.app.app import App
from rag.database.schema import app_state
from rag.errors import BusyError
from rag.generation.generator import EXTRACTIVE
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.schemas.rest import LivenessSchema, ReadinessSchema, VersionSchema

log = logging.getLogger(__name__)

NO_WAIT_S = 0.0  # health checks are frequent and must not wait for the start


def add_health_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""

    @api.get("/api/version", response_model=VersionSchema)
    def version(request: Request) -> dict[str, Any]:
        """Says which retriever version answers, since when and why, over how many passages, and with which index."""
        current_user(request).require_role("reader")
        app = opening.app()
        live, latest = app.active_retriever, app.registry.latest_promotion()
        return {
            "nightjar": api.version,
            "encoder_id": live.version.encoder_id,
            "tier": live.version.tier,
            "parent_id": live.version.parent_id,
            "passage_side": live.version.passage_side,
            "lexical_weight": live.version.lexical_weight,
            "promoted_at": latest.promoted_at.isoformat(),
            "reason": latest.reason,
            "n_passages": len(live.lexical.passage_ids),
            "index": _index_json(app),
        }

    @api.get("/livez", response_model=LivenessSchema)
    def live() -> dict[str, str]:
        """Says that the process answers."""
        return {"status": "ok"}

    @api.get("/readyz", response_model=ReadinessSchema)
    def ready() -> dict[str, Any]:
        """Says whether questions are answered and verdicts kept.

        It is ready without its index too, because search is then exact, and if its language model fails, because answers
        are then quotes.
        """
        app = opening.app(NO_WAIT_S)
        try:
            with app.engine.begin() as connection:  # changes nothing, but needs a database that accepts writes
                connection.execute(update(app_state).where(false()).values(value=""))
        except SQLAlchemyError as error:
            log.warning("not ready: %s", error)
            raise BusyError("the database accepts no writes: check whether its disk is full or read-only") from error
        return {
            "status": "ready",
            "encoder_id": app.active_retriever.version.encoder_id,
            "index": _index_json(app),
            "generator": app.chat_model.health() if app.chat_model else {"model": EXTRACTIVE},
        }


def _index_json(app: App) -> dict[str, str]:
    index = app.active_retriever.index
    return {"state": index.state, "reason": index.reason} if index else {"state": "absent", "reason": "not used here"}
