"""REST: a person's verdicts on passages and answers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from rag.app.app import App
from rag.errors import NotFoundError
from rag.feedback.feedback_store import MAX_COMMENT_LENGTH
from rag.records import ANSWER_VERDICTS, PASSAGE_VERDICTS
from ui.actions.give_verdict import verdict_notice
from ui.api.routes.questions import ShortId
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.schemas.rest import VerdictSchema

PASSAGE_VERDICT_NAMES, ANSWER_VERDICT_NAMES = ", ".join(PASSAGE_VERDICTS), ", ".join(ANSWER_VERDICTS)
EXAMPLE_TARGET: dict[str, JsonValue] = {"turn_id": "0c5d…", "token": "91ab…", "passage_id": "7f02…"}


class VerdictTargetRequest(BaseModel):
    """What a verdict is about: a passage that a turn showed or, without a passage, the turn's answer."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_TARGET]})

    turn_id: Annotated[ShortId, Field(description="The turn of the answer.")]
    token: Annotated[ShortId, Field(description="The token that came with the answer.")]
    passage_id: Annotated[ShortId | None, Field(description="A passage that was shown; a pin may name any.")] = None


class VerdictRequest(VerdictTargetRequest):
    """A verdict."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**EXAMPLE_TARGET, "verdict": "helpful"}]}
    )

    verdict: Annotated[
        ShortId, Field(description=f"Of a passage: {PASSAGE_VERDICT_NAMES}. Of an answer: {ANSWER_VERDICT_NAMES}.")
    ]
    comment: Annotated[str, Field(max_length=MAX_COMMENT_LENGTH, description="In the person's own words.")] = ""


def add_verdict_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""

    @api.post("/api/verdicts", response_model=VerdictSchema)
    def give(given: VerdictRequest, request: Request) -> dict[str, Any]:
        """Records a verdict on a passage or an answer; it replaces the same person's earlier one."""
        person = current_user(request)
        person.require_role("voter")
        app = opening.app()
        app.feedback.record_verdict(person.name, given.turn_id, _target(app, given), given.verdict, given.comment)
        boosts = app.settings.retrieval.until_tonight
        return {"verdict": given.verdict, "promise": verdict_notice(given.verdict, boosts_immediately=boosts)}

    @api.delete("/api/verdicts", response_model=VerdictSchema)
    def withdraw(target: VerdictTargetRequest, request: Request) -> dict[str, Any]:
        """Withdraws a verdict; does nothing if there is none."""
        person = current_user(request)
        person.require_role("voter")
        app = opening.app()
        app.feedback.withdraw_verdict(person.name, target.turn_id, _target(app, target))
        return {"verdict": None, "promise": ""}


def _target(app: App, target: VerdictTargetRequest) -> str | None:
    """Returns the passage's own id; clients may name it by its BEIR id.

    Raises:
        UsageError: the token is not that of the turn.
        NotFoundError: no passage has this id.
    """
    app.feedback.check_token(target.turn_id, target.token)
    if target.passage_id is None:
        return None
    shown = app.library.get([shown_hit.passage_id for shown_hit in app.feedback.turn(target.turn_id).shown])
    for passage in shown.values():
        if target.passage_id in (passage.passage_id, passage.public_id):
            return passage.passage_id
    resolved = app.library.resolve([target.passage_id])
    if target.passage_id not in resolved:
        raise NotFoundError(f"no passage {target.passage_id!r}: name one that the answer showed, by its passage_id")
    return resolved[target.passage_id]
