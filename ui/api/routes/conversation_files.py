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
    """Adds this route."""

    @api.get("/api/conversations/{conversation_id}/{kind}")
    def save(conversation_id: str, kind: Literal["text", "json"], request: Request) -> Response:
        """Returns one of your conversations as a file, with the sources of each answer."""
        conversations, name = opening.app().conversations, current_user(request).name
        conversation = conversations.get(conversation_id, name)
        exchanges = conversations.exchanges(conversation_id, name, MAX_EXPORTED_TURNS)
        text = (
            conversation_as_json(conversation, exchanges)
            if kind == "json"
            else conversation_as_markdown(conversation, exchanges)
        )
        ending, media_type = FILE_FORMATS[kind]
        headers = {"content-disposition": f'attachment; filename="conversation.{ending}"', "cache-control": "no-store"}
        return Response(text.encode("utf-8", "replace"), media_type=media_type, headers=headers)
