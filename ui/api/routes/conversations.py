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

ConversationId = Annotated[str, Path(max_length=100, description="As in the list of conversations.")]


class ConversationSchema(ResponseSchema):
    """A conversation as a list shows it."""

    conversation_id: str
    title: Annotated[str, Field(description="The first question, until it is renamed.")]
    created_at: str
    changed_at: Annotated[str, Field(description="When the last question was asked in it.")]


class ExchangeSchema(ResponseSchema):
    """A question and the answer that was given."""

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
    token: Annotated[str, Field(description="Sent along with votes on this answer and its passages.")]


class ConversationWithTurnsSchema(ConversationSchema):
    """A conversation with its questions and answers, oldest first."""

    turns: list[ExchangeSchema]


class RenameConversationRequest(BaseModel):
    """A new title."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"title": "Grants"}]})

    title: Annotated[
        str, Field(max_length=1000, description=f"Cut at {MAX_TITLE_LENGTH} characters; empty: the first question.")
    ]


class DeletedConversationSchema(ResponseSchema):
    """How many of its turns were deleted, and how many kept."""

    n_turns: Annotated[int, Field(description="How many turns are deleted.")]
    n_kept: Annotated[int, Field(description="How many have a verdict and stay for learning, in no conversation.")]


def add_conversation_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes; each sees only the conversations of the person who asks."""

    @api.get("/api/conversations", response_model=list[ConversationSchema])
    def conversations(
        request: Request,
        words: Annotated[str, Query(max_length=200, description="Only conversations that hold these words.")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 30,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> list[dict[str, Any]]:
        """Lists your conversations, the one with the newest question first."""
        listed = opening.app().conversations.of(current_user(request).name, limit, offset, words)
        return [_listed_json(conversation) for conversation in listed]

    @api.get("/api/conversations/{conversation_id}", response_model=ConversationWithTurnsSchema)
    def conversation(
        request: Request,
        conversation_id: ConversationId,
        n: Annotated[int, Query(ge=1, le=1000, description="The last n turns.")] = 50,
    ) -> dict[str, Any]:
        """Returns one of your conversations, with its questions and answers."""
        app, name = opening.app(), current_user(request).name
        exchanges = app.conversations.exchanges(conversation_id, name, n)
        turns = [_exchange_json(exchange, app.feedback.token(exchange.answer.turn_id)) for exchange in exchanges]
        return _listed_json(app.conversations.get(conversation_id, name)) | {"turns": turns}

    @api.patch("/api/conversations/{conversation_id}", response_model=ConversationSchema)
    def rename(request: Request, conversation_id: ConversationId, renamed: RenameConversationRequest) -> dict[str, Any]:
        """Renames one of your conversations."""
        conversations, name = opening.app().conversations, current_user(request).name
        conversations.rename(conversation_id, name, renamed.title)
        return _listed_json(conversations.get(conversation_id, name))

    @api.delete("/api/conversations/{conversation_id}", response_model=DeletedConversationSchema)
    def delete(
        request: Request,
        conversation_id: ConversationId,
        votes_too: Annotated[
            bool, Query(description="Whether your votes on its answers and passages are deleted too.")
        ] = False,
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


def _exchange_json(stored: StoredAnswer, token: str) -> dict[str, Any]:
    return answer_json(stored.answer) | {"asked_at": stored.asked_at.isoformat(), "token": token}
