"""REST: how the answers do, and what votes did."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request

from rag.app.app import App
from rag.insights.usage_over_time import span_of
from ui.actions.compare import names
from ui.actions.vote_effects import LOOKED_AT, MOST_LOOKED_AT, VoteLook
from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.background.usage_cache import Counted
from ui.serializers.insights import look_json, over_time_json


def add_insights(api: FastAPI, opening: Opening) -> None:
    """Adds these calls."""
    counted = Counted()

    @lru_cache(maxsize=1)
    def look_of(app: App) -> VoteLook:
        return VoteLook(app)

    @api.get("/api/insights")
    def insights(request: Request, days: int = 30) -> dict[str, Any]:
        """How the answers did over the last days, of all people together."""
        person_of(request)
        return over_time_json(counted.over_time(opening.app().engine, span_of(days)))

    @api.get("/api/insights/votes")
    def votes(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST_LOOKED_AT)] = LOOKED_AT,
        whose: Literal["mine", "all"] = "mine",
    ) -> dict[str, Any]:
        """What the latest votes did: rank before and now, by which version, or why not. "all" is for administrators."""
        person, app = person_of(request), opening.app()
        if whose == "all":
            person.must("administrator")
        look = look_of(app).at_once(person.name if whose == "mine" else None, limit)
        return look_json(look, names(app))
