"""REST: a person's own conversations: listed, read, renamed, deleted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from rag.answering.conversations import MAX_TITLE_LENGTH, ListedConversation
from rag.answering.stored_answers import StoredAnswer
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.schemas.rest import CitationSchema, ResponseSchema, SentenceSchema
from ui.serializers.answers import answer_json

ConversationId = Annotated[str, Path(max_length=100, description="As the list says.")]


class ConversationSchema(ResponseSchema):
    """A conversation as a list shows it."""

    conversation_id: str
    title: Annotated[str, Field(description="The first question, until somebody gives it another one.")]
    created_at: str
    changed_at: Annotated[str, Field(description="When something was asked in it last.")]


class ExchangeSchema(ResponseSchema):
    """A question and its answer, as it was given."""

    turn_id: str
    asked_at: str
    asked: str
    question: str
    answer: str
    declined: bool
    reason: str
    encoder_id: str
    citations: list[CitationSchema]
    sentences: list[SentenceSchema]
    token: Annotated[str, Field(description="Votes on this answer and its passages carry it.")]


class ConversationWithTurnsSchema(ConversationSchema):
    """A conversation with what was said in it, oldest first."""

    turns: list[ExchangeSchema]


class RenameConversationRequest(BaseModel):
    """Another title."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"title": "Grants"}]})

    title: Annotated[
        str, Field(max_length=1000, description=f"Cut at {MAX_TITLE_LENGTH} characters; empty: the first question.")
    ]


class DeletedConversationSchema(ResponseSchema):
    """What became of its turns."""

    n_turns: Annotated[int, Field(description="That are gone.")]
    n_kept: Annotated[int, Field(description="That a verdict stands on: they stay for learning, in no conversation.")]


def add_conversation_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these calls; each sees the conversations of the person who asks, and no others."""

    @api.get("/api/conversations", response_model=list[ConversationSchema])
    def conversations(
        request: Request,
        words: Annotated[str, Query(max_length=200, description="Only those in which this was said.")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 30,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> list[dict[str, Any]]:
        """Your conversations, the one with the newest question first."""
        found = opening.app().conversations.of(current_user(request).name, limit, offset, words)
        return [_listed_json(conversation) for conversation in found]

    @api.get("/api/conversations/{conversation_id}", response_model=ConversationWithTurnsSchema)
    def conversation(
        request: Request,
        conversation_id: ConversationId,
        n: Annotated[int, Query(ge=1, le=1000, description="The last n turns.")] = 50,
    ) -> dict[str, Any]:
        """One of your conversations, with its questions and answers."""
        app, name = opening.app(), current_user(request).name
        kept = app.conversations.exchanges(conversation_id, name, n)
        turns = [_exchange_json(exchange, app.feedback.token(exchange.answer.turn_id)) for exchange in kept]
        return _listed_json(app.conversations.get(conversation_id, name)) | {"turns": turns}

    @api.patch("/api/conversations/{conversation_id}", response_model=ConversationSchema)
    def rename(request: Request, conversation_id: ConversationId, renamed: RenameConversationRequest) -> dict[str, Any]:
        """Gives one of your conversations another title."""
        kept, name = opening.app().conversations, current_user(request).name
        kept.rename(conversation_id, name, renamed.title)
        return _listed_json(kept.get(conversation_id, name))

    @api.delete("/api/conversations/{conversation_id}", response_model=DeletedConversationSchema)
    def delete(
        request: Request,
        conversation_id: ConversationId,
        votes_too: Annotated[bool, Query(description="What you said of its answers and passages goes too.")] = False,
    ) -> dict[str, Any]:
        """Deletes one of your conversations; turns that were voted on stay for learning, in no conversation."""
        deleted = opening.app().conversations.delete(conversation_id, current_user(request).name, votes_too=votes_too)
        return {"n_turns": deleted.n_turns, "n_kept": deleted.n_kept}


def _listed_json(listed: ListedConversation) -> dict[str, Any]:
    return {
        "conversation_id": listed.conversation_id,
        "title": listed.title,
        "created_at": listed.created_at,
        "changed_at": listed.changed_at,
    }


def _exchange_json(kept: StoredAnswer, token: str) -> dict[str, Any]:
    return answer_json(kept.answer) | {"asked_at": kept.asked_at.isoformat(), "token": token}
