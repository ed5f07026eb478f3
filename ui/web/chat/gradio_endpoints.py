"""The two verbs of the page for gradio_client; programs that vote use the REST interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.answering.answerer import Text, checked
from rag.records import Answer
from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.serializers.answers import found_json
from ui.web.chat.render_answer import answer_text
from ui.web.components.escape import plain

AT_ONCE = 16  # conversations answered at the same time; more wait in line


def offer_to_programs(opening: Opening) -> None:
    """Adds them to the Blocks that are open."""

    def chat(message: str, request: gr.Request) -> Iterator[str]:
        """Answers a question from the documents; streams the text so far."""
        text = ""
        for event in opening.app().answerer.stream(message, user=person_of(request).name):
            if isinstance(event, Text):
                text += event.delta
                yield plain(text)
            elif isinstance(event, Answer):
                yield answer_text(event)

    def search(query: str, k: int = 6, request: gr.Request | None = None) -> dict[str, Any]:
        """Finds passages for a question, best first, with their scores."""
        name = person_of(request).name
        return found_json(opening.app().retriever.find(checked(query), max(1, min(k, 100)), name))

    gr.api(chat, api_name="chat", concurrency_limit=AT_ONCE, concurrency_id="answers")
    gr.api(search, api_name="search", concurrency_limit=AT_ONCE)
