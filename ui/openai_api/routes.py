"""OpenAI's interface: Nightjar as a model that any OpenAI client can chat with."""

from __future__ import annotations

import time
from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Header, Path, Request
from fastapi.responses import JSONResponse, Response
from fastapi.sse import ServerSentEvent

from rag.errors import UsageError
from rag.generation.chat.providers import REQUEST_HEADERS
from ui.actions.ask import AnswerEvent, AsyncAnswerer, FinishedAnswer, UserQuestion
from ui.api.sse import stream_events
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.openai_api.responses import ChatCompletionChunks, chat_completion, count_usage, earlier_exchanges
from ui.schemas.errors import client_closed_response
from ui.schemas.openai import (
    OPENAI_MODEL_NAME,
    OPENAI_PREFIX,
    ChatCompletionRequest,
    ChatCompletionResponse,
    OpenAIErrorSchema,
    OpenAIModelListResponse,
    OpenAIModelSchema,
    TokenUsageSchema,
    openai_error,
)

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIErrorSchema, "description": description}
    for status, description in {
        400: "The request makes no sense",
        404: "There is no such model",
        503: "Not ready yet",
    }.items()
}
NO_WAIT_S = 0.0  # a handler on the event loop must not wait for the start
DONE_EVENT = ServerSentEvent(raw_data="[DONE]")
MAX_EARLIER_EXCHANGES = 10  # how many questions before this one are read: as many as of a stored conversation

NightjarHeader = Annotated[str | None, Header(alias=next(iter(REQUEST_HEADERS)), include_in_schema=False)]


def add_openai_routes(api: FastAPI, opening: AppStartup, asking: AsyncAnswerer) -> None:
    """Adds these routes."""
    began = int(time.time())

    @api.post(f"{OPENAI_PREFIX}/chat/completions", response_model=ChatCompletionResponse, responses=ERROR_RESPONSES)
    async def complete(wanted: ChatCompletionRequest, request: Request, from_nightjar: NightjarHeader = None) -> Any:
        """Answers the last message, as OpenAI's chat completions do; streams if `stream` is true.

        Messages before it are its history: a follow-up is made to stand alone. System messages are not followed.
        Citations are the message's annotations; "nightjar" holds what votes on the answer need.
        """
        refused = _refusal(wanted) or (_refuse_itself(opening) if from_nightjar else None)
        if refused:
            return refused
        question = _question(wanted, current_user(request).name)
        if wanted.stream:
            return await _streamed(wanted, asking, question, opening, request)
        finished = await asking.answer(question, request)
        if finished is None:
            return client_closed_response()
        usage = await _usage(opening, wanted, finished)
        return chat_completion(finished, _site(request), int(time.time()), usage)

    @api.get(f"{OPENAI_PREFIX}/models", response_model=OpenAIModelListResponse)
    async def models(request: Request) -> OpenAIModelListResponse:
        """Lists the one model that there is."""
        current_user(request).require_role("reader")
        return OpenAIModelListResponse(data=[OpenAIModelSchema(created=began)])

    @api.get(OPENAI_PREFIX + "/models/{model_id}", response_model=OpenAIModelSchema, responses=ERROR_RESPONSES)
    async def model(request: Request, model_id: Annotated[str, Path(examples=[OPENAI_MODEL_NAME])]) -> Any:
        """Describes the model of this name."""
        current_user(request).require_role("reader")
        return OpenAIModelSchema(created=began) if model_id == OPENAI_MODEL_NAME else _no_model(model_id)

    @api.api_route(OPENAI_PREFIX + "/{path:path}", methods=["GET", "POST"], include_in_schema=False)
    async def anything_else(path: str) -> JSONResponse:
        served = f"{OPENAI_PREFIX}/chat/completions or {OPENAI_PREFIX}/models"
        message = f"{OPENAI_PREFIX}/{path[:100]} is not served here: use {served}"
        return _refused(message, None, "unknown_url", 404)


def _site(request: Request) -> str:
    return str(request.base_url).rstrip("/")


# ---- what is refused


def _no_model(model_id: str) -> JSONResponse:
    message = f"no model {model_id!r} here: use {OPENAI_MODEL_NAME!r}; each answer names the version that gave it"
    return _refused(message, "model", "model_not_found", 404)


def _refused(message: str, param: str | None, code: str, status: int = 400) -> JSONResponse:
    return JSONResponse(openai_error(message, status, param=param, code=code), status)


def _refusal(wanted: ChatCompletionRequest) -> JSONResponse | None:
    """Returns the refusal of a request; None if it is accepted."""
    if wanted.model != OPENAI_MODEL_NAME:
        return _no_model(wanted.model)
    if wanted.n not in (None, 1):
        return _refused(f"n is {wanted.n}, but a question has one answer: leave it out", "n", "unsupported_value")
    if wanted.tools or wanted.functions:
        return _refused("Nightjar calls no tools: leave them out", "tools", "unsupported_parameter")
    if wanted.messages[-1].role != "user":
        message = (
            f"the last message has the role {wanted.messages[-1].role!r}, but it has to be the question: use 'user'"
        )
        return _refused(message, "messages", "invalid_value")
    odd = sorted(set().union(*(message.part_types() for message in wanted.messages)) - {"text"})
    if odd:
        message = f"a message holds a part of the type {odd[0]!r}, but only text is read: leave the part out"
        return _refused(message, "messages", "unsupported_content")
    return None


def _refuse_itself(opening: AppStartup) -> JSONResponse | None:
    """Refuses another Nightjar if this one asks a language model too: they could ask each other for ever."""
    if opening.app(NO_WAIT_S).chat_model is None:
        return None
    message = (
        "a Nightjar uses this one as its language model, and this one uses a language model too: set generator.model of "
        "the first to a model that is not a Nightjar"
    )
    return _refused(message, "model", "nightjar_asks_nightjar")


# ---- asking and answering


def _question(wanted: ChatCompletionRequest, user: str) -> UserQuestion:
    messages = [(message.role, message.text()) for message in wanted.messages]
    conversation_id = (wanted.metadata or {}).get("conversation_id") or None
    if conversation_id is not None and len(conversation_id) > 200:
        raise UsageError(f"metadata.conversation_id has {len(conversation_id)} characters: use at most 200")
    return UserQuestion(
        text=messages[-1][1],
        user=user,
        history=earlier_exchanges(messages[:-1])[-MAX_EARLIER_EXCHANGES:],
        conversation_id=conversation_id,
    )


async def _usage(opening: AppStartup, wanted: ChatCompletionRequest, finished: FinishedAnswer) -> TokenUsageSchema:
    asked, folder = [message.text() for message in wanted.messages], opening.app().active_retriever.version.folder
    return await to_thread.run_sync(count_usage, folder, asked, finished.answer.text)


async def _streamed(
    wanted: ChatCompletionRequest, asking: AsyncAnswerer, question: UserQuestion, opening: AppStartup, request: Request
) -> Response:
    chunks = ChatCompletionChunks(int(time.time()), _site(request))
    with_usage = wanted.stream_options and wanted.stream_options.include_usage

    async def to_sent(event: AnswerEvent) -> list[ServerSentEvent]:
        usage = await _usage(opening, wanted, event) if with_usage and isinstance(event, FinishedAnswer) else None
        return [ServerSentEvent(data=chunk) for chunk in chunks.for_event(event, usage)]

    return await stream_events(asking.stream(question), to_sent, _failure_to_event, DONE_EVENT)


def _failure_to_event(message: str, status: int) -> ServerSentEvent:
    return ServerSentEvent(data=openai_error(message, status))
