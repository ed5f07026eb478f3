"""REST: ask, whole or as a stream of events, and search."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from rag.answering.answerer import Searched, Text, checked
from rag.library.search_filter import MAX_TERMS, Filter, filter_of
from ui.actions.ask import Asking, Event, Finished, Question
from ui.api.sse import MEDIA_TYPE, sse, streamed
from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.schemas.errors import gone
from ui.schemas.rest import AnswerShape, FoundShape
from ui.serializers.answers import answer_json, found_json, searched_json

Id = Annotated[str, Field(min_length=1, max_length=200)]
Term = Annotated[str, Field(min_length=1, max_length=1000)]
Terms = Annotated[list[Term], Field(max_length=MAX_TERMS)]

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": 'event: searched\ndata: {"turn_id": "…", "hits": […]}\n\nevent: text\ndata: {"delta": "Apply "}'
                '\n\nevent: answer\ndata: {"answer": "Apply before May. [1]", "citations": […], "token": "…"}\n\n',
            }
        },
        "description": "Events: `searched` with the hits, `text` with a piece, `answer` with the whole, or `error`.",
    }
}


class Where(BaseModel):
    """Which documents are searched; what is left out lets all pass."""

    model_config = ConfigDict(extra="forbid")

    sources: Annotated[Terms, Field(description="Files, folders, or patterns with * and ?; one suffices.")] = []
    types: Annotated[Terms, Field(description="Suffixes such as pdf, or media types; one suffices.")] = []
    since: Annotated[Term | None, Field(description="Ingested on this day or later; ISO 8601.")] = None
    until: Annotated[Term | None, Field(description="Ingested on this day or earlier.")] = None

    def filter(self) -> Filter:
        """The same for the retriever.

        Raises:
            UsageError: a date can't be read, or nothing lies between the two.
        """
        return filter_of(self.sources, self.types, self.since, self.until)


class Asked(BaseModel):
    """A question."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"question": "Who can get the grant?", "k": 6}]}
    )

    question: Annotated[str, Field(description="In a few sentences at most.")]
    conversation_id: Annotated[Id | None, Field(description="The same one makes follow-ups of questions.")] = None
    k: Annotated[int | None, Field(ge=1, le=100, description="How many passages the answer may rest on.")] = None
    where: Where = Where()


def add_questions(api: FastAPI, opening: Opening, asking: Asking) -> None:
    """Adds these calls."""

    @api.post("/api/ask", response_model=AnswerShape, responses=STREAM)
    async def ask(asked: Asked, request: Request) -> Any:
        """Answers a question; the token that comes with the answer is needed to vote on it.

        Questions with the same conversation_id are a conversation: a follow-up is made to stand alone, see "question".
        With `Accept: text/event-stream` the answer comes as of /api/ask/stream.
        """
        if MEDIA_TYPE in request.headers.get("accept", ""):
            return await _streamed(asking, _question(asked, request))
        finished = await asking.answer(_question(asked, request), request)
        return gone() if finished is None else _finished_json(finished)

    @api.post("/api/ask/stream", response_class=StreamingResponse, responses=STREAM)
    async def stream(asked: Asked, request: Request) -> Response:
        """Answers a question as server-sent events: what was found, the text in pieces, and the whole answer.

        A client that goes away ends the answer. Comments keep the connection open while nothing happens.
        """
        return await _streamed(asking, _question(asked, request))

    @api.get("/api/search", response_model=FoundShape)
    def search(
        request: Request,
        q: Annotated[str, Query(examples=["Who can get the grant?"], description="The question.")],
        k: Annotated[int, Query(ge=1, le=100, description="How many passages.")] = 10,
        source: Annotated[Terms, Query(description="A file, a folder, or a pattern; may be repeated.")] = [],  # noqa: B006 - FastAPI copies it
        type: Annotated[Terms, Query(description="A suffix or media type; may be repeated.")] = [],  # noqa: B006 - as above
        since: Annotated[Term | None, Query(description="Ingested on this day or later; ISO 8601.")] = None,
        until: Annotated[Term | None, Query(description="Ingested on this day or earlier.")] = None,
    ) -> dict[str, Any]:
        """Finds passages, best first, in the documents that pass. Nothing is remembered."""
        where, retriever = filter_of(source, type, since, until), opening.app().retriever
        found = retriever.find(checked(q), k, person_of(request).name, where)
        return found_json(found) | {"encoder_id": retriever.encoder_id}


def _question(asked: Asked, request: Request) -> Question:
    return Question(asked.question, person_of(request).name, None, asked.conversation_id, asked.k, asked.where.filter())


async def _streamed(asking: Asking, question: Question) -> Response:
    return await streamed(asking.stream(question), _event, lambda said, _status: sse({"error": said}, "error"))


async def _event(event: Event) -> str:
    if isinstance(event, Searched):
        return sse(searched_json(event), "searched")
    if isinstance(event, Text):
        return sse({"delta": event.delta}, "text")
    return sse(_finished_json(event), "answer")


def _finished_json(finished: Finished) -> dict[str, Any]:
    return answer_json(finished.answer) | {"token": finished.token}
