"""REST: usage over time, and the effects of votes."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request

from rag.app.app import App
from rag.insights.usage_over_time import to_span
from ui.actions.compare import version_names
from ui.actions.vote_effects import DEFAULT_N_VOTES, MAX_N_VOTES, VoteEffectsView
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.background.usage_cache import UsageCache
from ui.serializers.insights import usage_over_time_json, vote_effects_json


def add_insight_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""
    counted = UsageCache()

    @lru_cache(maxsize=1)
    def effects_view(app: App) -> VoteEffectsView:
        return VoteEffectsView(app)

    @api.get("/api/insights")
    def insights(request: Request, days: int = 30) -> dict[str, Any]:
        """Counts questions and answers of all people over the last days."""
        current_user(request)
        return usage_over_time_json(counted.over_time(opening.app().engine, to_span(days)))

    @api.get("/api/insights/votes")
    def votes(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MAX_N_VOTES)] = DEFAULT_N_VOTES,
        whose: Literal["mine", "all"] = "mine",
    ) -> dict[str, Any]:
        """Shows what the latest votes did: rank before and now, by which version, or why not. "all" is for administrators."""
        person, app = current_user(request), opening.app()
        if whose == "all":
            person.require_role("administrator")
        look = effects_view(app).look(person.name if whose == "mine" else None, limit)
        return vote_effects_json(look, version_names(app))
