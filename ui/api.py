"""REST: ask, search, verdicts, version, health. Thin: each call is one call of the core, with its errors as JSON."""

from __future__ import annotations

import logging
from importlib import metadata
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import false, update
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from rag.answer import checked
from rag.assemble import App
from rag.database import state
from rag.errors import BusyError, ForbiddenError, NightjarError, NotFoundError, UsageError
from rag.feedback import MAX_COMMENT
from rag.filters import MAX_TERMS, Filter, filter_of
from rag.generate import EXTRACTIVE
from ui.api_conversations import add_conversations
from ui.api_documents import add_documents
from ui.opening import Opening
from ui.shapes import answer_json, found_json
from ui.verdicts import LOCAL, promise_of

log = logging.getLogger(__name__)

Id = Annotated[str, Field(min_length=1, max_length=200)]
Term = Annotated[str, Field(min_length=1, max_length=1000)]
Terms = Annotated[list[Term], Field(max_length=MAX_TERMS)]
NOW_S = 0.0  # health is asked often, and must not wait


class Where(BaseModel):
    """Which documents are searched; what is left out lets all pass."""

    model_config = ConfigDict(extra="forbid")

    sources: Terms = []
    """Files, folders, or patterns with * and ?; one suffices."""
    types: Terms = []
    """Suffixes such as pdf, or media types; one suffices."""
    since: Term | None = None
    """Ingested on this day or at this moment, or later; ISO 8601."""
    until: Term | None = None
    """Ingested on this day, or before this moment."""

    def filter(self) -> Filter:
        """The same for the retriever.

        Raises:
            UsageError: a date can't be read, or nothing lies between the two.
        """
        return filter_of(self.sources, self.types, self.since, self.until)


class Asked(BaseModel):
    """A question."""

    model_config = ConfigDict(extra="forbid")

    question: str
    conversation_id: Id | None = None
    k: Annotated[int, Field(ge=1, le=100)] | None = None
    where: Where = Where()


class Target(BaseModel):
    """What a verdict is about: a passage that a turn showed or, without one, the turn's answer."""

    model_config = ConfigDict(extra="forbid")

    turn_id: Id
    token: Id
    passage_id: Id | None = None


class Given(Target):
    """A verdict."""

    verdict: Id
    comment: Annotated[str, Field(max_length=MAX_COMMENT)] = ""


def create_api(opening: Opening) -> FastAPI:
    """The application programming interface, ready for the web page to be mounted on."""
    # No /docs: that page loads its scripts from another host.
    api = FastAPI(title="Nightjar", version=_version(), docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    _add_questions(api, opening)
    _add_verdicts(api, opening)
    add_documents(api, opening)
    add_conversations(api, opening)
    _add_health(api, opening)
    _add_errors(api)
    return api


def _version() -> str:
    try:
        return metadata.version("nightjar-rag")
    except metadata.PackageNotFoundError:
        return "0+source"  # run from a clone that was not installed


def _add_questions(api: FastAPI, opening: Opening) -> None:
    @api.post("/api/ask")
    def ask(asked: Asked) -> dict[str, Any]:
        """Answers a question; the token that comes with the answer is needed to give verdicts on it.

        Questions with the same conversation_id are a conversation: a follow-up is made to stand alone, see "question".
        """
        app, conversation_id = opening.app(), asked.conversation_id
        history = app.feedback.history(conversation_id, LOCAL) if conversation_id else []
        answer = app.answerer.answer(
            asked.question,
            history=history,
            user=LOCAL,
            conversation_id=conversation_id,
            k=asked.k,
            where=asked.where.filter(),
        )
        return answer_json(answer) | {"token": app.feedback.token(answer.turn_id)}

    @api.get("/api/search")
    def search(
        q: str,
        k: Annotated[int, Query(ge=1, le=100)] = 10,
        source: Annotated[Terms, Query()] = [],  # noqa: B006 - FastAPI copies it
        type: Annotated[Terms, Query()] = [],  # noqa: B006 - as above
        since: Term | None = None,
        until: Term | None = None,
    ) -> dict[str, Any]:
        """Finds passages, best first, in the documents that pass. Nothing is remembered."""
        where, retriever = filter_of(source, type, since, until), opening.app().retriever
        return found_json(retriever.find(checked(q), k, LOCAL, where)) | {"encoder_id": retriever.encoder_id}


def _add_verdicts(api: FastAPI, opening: Opening) -> None:
    @api.post("/api/verdicts")
    def give(given: Given) -> dict[str, Any]:
        """Records what a person says of a passage or an answer; in place of what the same person said before."""
        app, passage_id = opening.app(), _target(opening.app(), given)
        app.feedback.give(LOCAL, given.turn_id, passage_id, given.verdict, given.comment)
        at_once = app.settings.retrieval.until_tonight
        return {"verdict": given.verdict, "promise": promise_of(given.verdict, at_once=at_once)}

    @api.delete("/api/verdicts")
    def withdraw(target: Target) -> dict[str, Any]:
        """Takes a verdict back; nothing happens where none stands."""
        app, passage_id = opening.app(), _target(opening.app(), target)
        app.feedback.withdraw(LOCAL, target.turn_id, passage_id)
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


def _add_health(api: FastAPI, opening: Opening) -> None:
    @api.get("/api/version")
    def version() -> dict[str, Any]:
        """Which retriever version answers, since when and why, over how much, and by what index."""
        app = opening.app()
        live, latest = app.live, app.registry.latest_promotion()
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

    @api.get("/livez")
    def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @api.get("/readyz")
    def ready() -> dict[str, Any]:
        """Questions are answered and verdicts kept. Without its index search is exact, and that is ready too; so is an
        application whose language model fails: it quotes."""
        app = opening.app(NOW_S)
        try:
            with app.engine.begin() as connection:  # changes nothing, but needs a database that takes writes
                connection.execute(update(state).where(false()).values(value=""))
        except SQLAlchemyError as error:
            log.warning("not ready: %s", error)
            raise BusyError("the database takes no writes: see whether its disk is full or read-only") from error
        return {
            "status": "ready",
            "encoder_id": app.live.version.encoder_id,
            "index": _index_json(app),
            "generator": app.chat_model.health() if app.chat_model else {"model": EXTRACTIVE},
        }


def _index_json(app: App) -> dict[str, str]:
    index = app.live.index
    return {"state": index.state, "reason": index.reason} if index else {"state": "absent", "reason": "not used here"}


# ---- errors

STATUSES: tuple[tuple[type[NightjarError], int], ...] = (
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (UsageError, 400),
    (BusyError, 503),
    (NightjarError, 500),
)


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(NightjarError)
    async def foreseen(_request: Request, error: NightjarError) -> JSONResponse:
        return error_json(str(error), next(status for kind, status in STATUSES if isinstance(error, kind)))

    @api.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        return error_json("; ".join(_problem(one) for one in error.errors()), 400)

    @api.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return error_json(str(error.detail), error.status_code)

    @api.exception_handler(Exception)
    async def unforeseen(_request: Request, _error: Exception) -> JSONResponse:
        return error_json("something went wrong here, and it was logged", 500)  # by the server, with its traceback


def error_json(message: str, status: int) -> JSONResponse:
    """An error as every door of the interface tells it."""
    return JSONResponse({"error": message}, status)


def _problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query"))
    return f"{where or 'the request'}: {problem['msg']}"
