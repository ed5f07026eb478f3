"""REST: questions, answered at once or as a stream of events, and searches."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from rag.answering.answerer import SearchFinished, TextDelta, check_question
from rag.library.search_filter import MAX_FILTER_TERMS, SearchFilter, parse_filter
from ui.actions.ask import AnswerEvent, AsyncAnswerer, FinishedAnswer, UserQuestion
from ui.api.sse import SSE_MEDIA_TYPE, stream_events
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.schemas.errors import client_closed_response
from ui.schemas.rest import AnswerSchema, SearchResultSchema
from ui.serializers.answers import answer_json, search_event_json, search_result_json

ShortId = Annotated[str, Field(min_length=1, max_length=200)]
FilterTerm = Annotated[str, Field(min_length=1, max_length=1000)]
FilterTerms = Annotated[list[FilterTerm], Field(max_length=MAX_FILTER_TERMS)]

STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            SSE_MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": 'event: searched\ndata: {"turn_id": "…", "hits": […]}\n\nevent: text\ndata: {"delta": "Apply "}'
                '\n\nevent: answer\ndata: {"answer": "Apply before May. [1]", "citations": […], "token": "…"}\n\n',
            }
        },
        "description": "Events: `searched` with the hits, `text` with a piece, `answer` with the whole answer, or `error`.",
    }
}


class SearchFilterRequest(BaseModel):
    """Which documents are searched; a field that is left out lets all pass."""

    model_config = ConfigDict(extra="forbid")

    sources: Annotated[
        FilterTerms, Field(description="Files, folders, or patterns with * and ?; matching one is enough.")
    ] = []
    types: Annotated[
        FilterTerms, Field(description="Suffixes such as pdf, or media types; matching one is enough.")
    ] = []
    since: Annotated[FilterTerm | None, Field(description="Ingested on this day or later; ISO 8601.")] = None
    until: Annotated[FilterTerm | None, Field(description="Ingested on this day or earlier.")] = None

    def filter(self) -> SearchFilter:
        """Returns the filter for the retriever.

        Raises:
            UsageError: a date can't be read, or no day lies between the two.
        """
        return parse_filter(self.sources, self.types, self.since, self.until)


class QuestionRequest(BaseModel):
    """A question."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"question": "Who can get the grant?", "k": 6}]}
    )

    question: Annotated[str, Field(description="In a few sentences at most.")]
    conversation_id: Annotated[
        ShortId | None, Field(description="Questions with the same id may follow up on each other.")
    ] = None
    k: Annotated[int | None, Field(ge=1, le=100, description="How many passages the answer may use.")] = None
    where: SearchFilterRequest = SearchFilterRequest()


def add_question_routes(api: FastAPI, opening: AppStartup, asking: AsyncAnswerer) -> None:
    """Adds these routes."""

    @api.post("/api/ask", response_model=AnswerSchema, responses=STREAM_RESPONSES)
    async def ask(asked: QuestionRequest, request: Request) -> Any:
        """Answers a question; the token that comes with the answer is needed to vote on it.

        Questions with the same conversation_id are a conversation: a follow-up is rewritten to stand alone, see "question".
        With `Accept: text/event-stream` the answer comes as from /api/ask/stream.
        """
        if SSE_MEDIA_TYPE in request.headers.get("accept", ""):
            return await _streamed(asking, _question(asked, request))
        finished = await asking.answer(_question(asked, request), request)
        return client_closed_response() if finished is None else _finished_json(finished)

    # Not EventSourceResponse here: FastAPI would take the handler for a generator of events, and start the response first.
    @api.post("/api/ask/stream", response_class=StreamingResponse, responses=STREAM_RESPONSES)
    async def stream(asked: QuestionRequest, request: Request) -> Response:
        """Answers a question as server-sent events: what was found, the text in pieces, and the whole answer.

        The answer ends if the client goes away. Comments keep the connection open while nothing happens.
        """
        return await _streamed(asking, _question(asked, request))

    @api.get("/api/search", response_model=SearchResultSchema)
    def search(
        request: Request,
        q: Annotated[str, Query(examples=["Who can get the grant?"], description="The question.")],
        k: Annotated[int, Query(ge=1, le=100, description="How many passages.")] = 10,
        source: Annotated[FilterTerms, Query(description="A file, a folder, or a pattern; may be repeated.")] = [],  # noqa: B006 - FastAPI copies it
        type: Annotated[FilterTerms, Query(description="A suffix or media type; may be repeated.")] = [],  # noqa: B006 - as above
        since: Annotated[FilterTerm | None, Query(description="Ingested on this day or later; ISO 8601.")] = None,
        until: Annotated[FilterTerm | None, Query(description="Ingested on this day or earlier.")] = None,
    ) -> dict[str, Any]:
        """Finds passages, best first, in the documents that pass. Nothing is remembered."""
        where, retriever = parse_filter(source, type, since, until), opening.app().retriever
        found = retriever.find(check_question(q), k, current_user(request).name, where)
        return search_result_json(found) | {"encoder_id": retriever.encoder_id}


def _question(asked: QuestionRequest, request: Request) -> UserQuestion:
    return UserQuestion(
        text=asked.question,
        user=current_user(request).name,
        history=None,
        conversation_id=asked.conversation_id,
        k=asked.k,
        where=asked.where.filter(),
    )


async def _streamed(asking: AsyncAnswerer, question: UserQuestion) -> Response:
    return await stream_events(asking.stream(question), _to_sent, _failure_to_event)


async def _to_sent(event: AnswerEvent) -> list[ServerSentEvent]:
    if isinstance(event, SearchFinished):
        return [ServerSentEvent(event="searched", data=search_event_json(event))]
    if isinstance(event, TextDelta):
        return [ServerSentEvent(event="text", data={"delta": event.delta})]
    return [ServerSentEvent(event="answer", data=_finished_json(event))]


def _failure_to_event(message: str, _status: int) -> ServerSentEvent:
    return ServerSentEvent(event="error", data={"error": message})


def _finished_json(finished: FinishedAnswer) -> dict[str, Any]:
    return answer_json(finished.answer) | {"token": finished.token}
