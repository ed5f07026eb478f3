"""The two verbs of the page for gradio_client; programs that vote use the REST interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.answering.answerer import TextDelta, check_question
from rag.records import Answer
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.html.environment import strip_control_characters
from ui.serializers.answers import search_result_json
from ui.web.chat.render_answer import format_answer

MAX_CONCURRENT_ANSWERS = 16  # conversations answered at the same time; more wait in line


def add_api_endpoints(opening: AppStartup) -> None:
    """Adds them to the Blocks that are open."""

    def chat(message: str, request: gr.Request) -> Iterator[str]:
        """Answers a question from the documents; streams the text so far."""
        text = ""
        for event in opening.app().answerer.stream(message, user=current_user(request).name):
            if isinstance(event, TextDelta):
                text += event.delta
                yield strip_control_characters(text)
            elif isinstance(event, Answer):
                yield format_answer(event)

    def search(query: str, k: int = 6, request: gr.Request | None = None) -> dict[str, Any]:
        """Finds passages for a question, best first, with their scores."""
        name = current_user(request).name
        return search_result_json(opening.app().retriever.find(check_question(query), max(1, min(k, 100)), name))

    gr.api(chat, api_name="chat", concurrency_limit=MAX_CONCURRENT_ANSWERS, concurrency_id="answers")
    gr.api(search, api_name="search", concurrency_limit=MAX_CONCURRENT_ANSWERS)
