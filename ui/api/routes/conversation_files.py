"""REST: a person's own conversations as files."""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI, Request, Response

from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.serializers.conversation_export import as_json, as_markdown

MAX_TURNS = 10_000
KINDS = {"text": ("md", "text/markdown; charset=utf-8"), "json": ("json", "application/json")}


def add_conversations(api: FastAPI, opening: Opening) -> None:
    """Adds this call."""

    @api.get("/api/conversations/{conversation_id}/{kind}")
    def save(conversation_id: str, kind: Literal["text", "json"], request: Request) -> Response:
        """One of your conversations as a file, with what each answer rests on."""
        kept, name = opening.app().conversations, person_of(request).name
        conversation = kept.get(conversation_id, name)
        exchanges = kept.exchanges(conversation_id, name, MAX_TURNS)
        written = as_json(conversation, exchanges) if kind == "json" else as_markdown(conversation, exchanges)
        ending, media_type = KINDS[kind]
        headers = {"content-disposition": f'attachment; filename="conversation.{ending}"', "cache-control": "no-store"}
        return Response(written.encode("utf-8", "replace"), media_type=media_type, headers=headers)
