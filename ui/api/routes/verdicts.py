"""REST: what a person says of a passage or an answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from rag.app.app import App
from rag.errors import NotFoundError
from rag.feedback.feedback_store import MAX_COMMENT
from rag.records import ANSWER_VERDICTS, PASSAGE_VERDICTS
from ui.actions.give_verdict import promise_of
from ui.api.routes.questions import Id
from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.schemas.rest import VerdictShape

OF_PASSAGES, OF_ANSWERS = ", ".join(PASSAGE_VERDICTS), ", ".join(ANSWER_VERDICTS)
EXAMPLE: dict[str, JsonValue] = {"turn_id": "0c5d…", "token": "91ab…", "passage_id": "7f02…"}


class Target(BaseModel):
    """What a verdict is about: a passage that a turn showed or, without one, the turn's answer."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    turn_id: Annotated[Id, Field(description="Of the answer.")]
    token: Annotated[Id, Field(description="That came with the answer.")]
    passage_id: Annotated[Id | None, Field(description="A passage that was shown; a pin may name any.")] = None


class Given(Target):
    """A verdict."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{**EXAMPLE, "verdict": "helpful"}]})

    verdict: Annotated[Id, Field(description=f"Of a passage: {OF_PASSAGES}. Of an answer: {OF_ANSWERS}.")]
    comment: Annotated[str, Field(max_length=MAX_COMMENT, description="In the person's own words.")] = ""


def add_verdicts(api: FastAPI, opening: Opening) -> None:
    """Adds these calls."""

    @api.post("/api/verdicts", response_model=VerdictShape)
    def give(given: Given, request: Request) -> dict[str, Any]:
        """Records what a person says of a passage or an answer; in place of what the same person said before."""
        person = person_of(request)
        person.must("voter")
        app = opening.app()
        app.feedback.give(person.name, given.turn_id, _target(app, given), given.verdict, given.comment)
        at_once = app.settings.retrieval.until_tonight
        return {"verdict": given.verdict, "promise": promise_of(given.verdict, at_once=at_once)}

    @api.delete("/api/verdicts", response_model=VerdictShape)
    def withdraw(target: Target, request: Request) -> dict[str, Any]:
        """Takes a verdict back; nothing happens where none stands."""
        person = person_of(request)
        person.must("voter")
        app = opening.app()
        app.feedback.withdraw(person.name, target.turn_id, _target(app, target))
        return {"verdict": None, "promise": ""}


def _target(app: App, target: Target) -> str | None:
    """The passage's own id; outside it may go by its BEIR id.

    Raises:
        UsageError: the token is not the turn's.
        NotFoundError: no passage has this id.
    """
    app.feedback.check_token(target.turn_id, target.token)
    if target.passage_id is None:
        return None
    shown = app.library.get([one.passage_id for one in app.feedback.turn(target.turn_id).shown])
    for passage in shown.values():
        if target.passage_id in (passage.passage_id, passage.public_id):
            return passage.passage_id
    found = app.library.resolve([target.passage_id])
    if target.passage_id not in found:
        raise NotFoundError(f"no passage {target.passage_id!r}: name one that the answer showed, by its passage_id")
    return found[target.passage_id]
