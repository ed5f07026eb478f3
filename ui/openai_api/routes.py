"""OpenAI's interface: Nightjar as a model that any client of OpenAI can chat with."""

from __future__ import annotations

import time
from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Header, Path, Request
from fastapi.responses import JSONResponse, Response

from rag.errors import UsageError
from rag.generation.chat.providers import ASKED_BY_US
from ui.actions.ask import Asking, Event, Finished, Question
from ui.api.sse import sse, streamed
from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.openai_api.responses import Chunks, chat_answer, earlier, usage
from ui.schemas.errors import gone
from ui.schemas.openai import MODEL, PREFIX, ChatAnswer, ChatRequest, Model, Models, OpenAIError, Usage, openai_error

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIError, "description": said}
    for status, said in {400: "The request makes no sense", 404: "There is no such model", 503: "Not ready yet"}.items()
}
NOW_S = 0.0  # the event loop must not wait
DONE = "data: [DONE]\n\n"
KEPT = 10  # questions before this one that are read; as of a conversation that is kept here

Asked = Annotated[str | None, Header(alias=next(iter(ASKED_BY_US)), include_in_schema=False)]


def add_openai(api: FastAPI, opening: Opening, asking: Asking) -> None:
    """Adds these calls."""
    began = int(time.time())

    @api.post(f"{PREFIX}/chat/completions", response_model=ChatAnswer, responses=REFUSALS)
    async def complete(wanted: ChatRequest, request: Request, from_nightjar: Asked = None) -> Any:
        """Answers the last message, as OpenAI's chat completions do; streams where `stream` is true.

        Messages before it are its history: a follow-up is made to stand alone. System messages are not followed.
        Citations are the message's annotations; "nightjar" holds what votes on the answer need.
        """
        refused = _refusal(wanted) or (_refuse_itself(opening) if from_nightjar else None)
        if refused:
            return refused
        question = _question(wanted, person_of(request).name)
        if wanted.stream:
            return await _streamed(wanted, asking, question, opening, request)
        finished = await asking.answer(question, request)
        if finished is None:
            return gone()
        counted = await _counted(opening, wanted, finished)
        return chat_answer(finished, _site(request), int(time.time()), counted)

    @api.get(f"{PREFIX}/models", response_model=Models)
    async def models(request: Request) -> Models:
        """The one model that there is."""
        person_of(request).must("reader")
        return Models(data=[Model(created=began)])

    @api.get(PREFIX + "/models/{model_id}", response_model=Model, responses=REFUSALS)
    async def model(request: Request, model_id: Annotated[str, Path(examples=[MODEL])]) -> Any:
        """The same by its name."""
        person_of(request).must("reader")
        return Model(created=began) if model_id == MODEL else _no_model(model_id)

    @api.api_route(PREFIX + "/{path:path}", methods=["GET", "POST"], include_in_schema=False)
    async def anything_else(path: str) -> JSONResponse:
        said = f"{PREFIX}/{path[:100]} is not served here: use {PREFIX}/chat/completions or {PREFIX}/models"
        return _refused(said, None, "unknown_url", 404)


def _site(request: Request) -> str:
    return str(request.base_url).rstrip("/")


# ---- what is refused


def _no_model(model_id: str) -> JSONResponse:
    said = f"no model {model_id!r} here: use {MODEL!r}, whose version that answers now is told in the answer"
    return _refused(said, "model", "model_not_found", 404)


def _refused(said: str, param: str | None, code: str, status: int = 400) -> JSONResponse:
    return JSONResponse(openai_error(said, status, param=param, code=code), status)


def _refusal(wanted: ChatRequest) -> JSONResponse | None:
    """Why a request is refused; None where it is not."""
    if wanted.model != MODEL:
        return _no_model(wanted.model)
    if wanted.n not in (None, 1):
        return _refused(
            f"n is {wanted.n}, and there is one answer to a question: leave it out", "n", "unsupported_value"
        )
    if wanted.tools or wanted.functions:
        return _refused("Nightjar calls no tools: leave them out", "tools", "unsupported_parameter")
    if wanted.messages[-1].role != "user":
        said = f"the last message is of the role {wanted.messages[-1].role!r}, and it has to be the question: of 'user'"
        return _refused(said, "messages", "invalid_value")
    odd = sorted(set().union(*(one.kinds() for one in wanted.messages)) - {"text"})
    if odd:
        said = f"a message holds a part of the type {odd[0]!r}, and only text is read: leave the part out"
        return _refused(said, "messages", "unsupported_content")
    return None


def _refuse_itself(opening: Opening) -> JSONResponse | None:
    """A Nightjar that asks a language model is none itself: two of them could ask each other for ever."""
    if opening.app(NOW_S).chat_model is None:
        return None
    said = (
        "a Nightjar asks this one as its language model, and this one asks a language model too: set generator.model of "
        "the first to a model that is no Nightjar"
    )
    return _refused(said, "model", "nightjar_asks_nightjar")


# ---- asking and answering


def _question(wanted: ChatRequest, user: str) -> Question:
    said = [(one.role, one.text()) for one in wanted.messages]
    conversation_id = (wanted.metadata or {}).get("conversation_id") or None
    if conversation_id is not None and len(conversation_id) > 200:
        raise UsageError(f"metadata.conversation_id has {len(conversation_id)} characters: use at most 200")
    return Question(said[-1][1], user, earlier(said[:-1])[-KEPT:], conversation_id)


async def _counted(opening: Opening, wanted: ChatRequest, finished: Finished) -> Usage:
    asked, folder = [one.text() for one in wanted.messages], opening.app().live.version.folder
    return await to_thread.run_sync(usage, folder, asked, finished.answer.text)


async def _streamed(
    wanted: ChatRequest, asking: Asking, question: Question, opening: Opening, request: Request
) -> Response:
    chunks, counts = (
        Chunks(int(time.time()), _site(request)),
        wanted.stream_options and wanted.stream_options.include_usage,
    )

    async def write(event: Event) -> str:
        counted = await _counted(opening, wanted, event) if counts and isinstance(event, Finished) else None
        return "".join(sse(one) for one in chunks.of(event, counted))

    return await streamed(asking.stream(question), write, _broken_off, DONE)


def _broken_off(said: str, status: int) -> str:
    return sse(openai_error(said, status))
