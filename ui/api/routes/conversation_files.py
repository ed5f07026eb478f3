"""REST: a person's own conversations as files."""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI, Request, Response

from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.serializers.conversation_export import conversation_as_json, conversation_as_markdown

MAX_EXPORTED_TURNS = 10_000
FILE_FORMATS = {"text": ("md", "text/markdown; charset=utf-8"), "json": ("json", "application/json")}


def add_conversation_file_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds this call."""

    @api.get("/api/conversations/{conversation_id}/{kind}")
    def save(conversation_id: str, kind: Literal["text", "json"], request: Request) -> Response:
        """One of your conversations as a file, with what each answer rests on."""
        kept, name = opening.app().conversations, current_user(request).name
        conversation = kept.get(conversation_id, name)
        exchanges = kept.exchanges(conversation_id, name, MAX_EXPORTED_TURNS)
        written = (
            conversation_as_json(conversation, exchanges)
            if kind == "json"
            else conversation_as_markdown(conversation, exchanges)
        )
        ending, media_type = FILE_FORMATS[kind]
        headers = {"content-disposition": f'attachment; filename="conversation.{ending}"', "cache-control": "no-store"}
        return Response(written.encode("utf-8", "replace"), media_type=media_type, headers=headers)
