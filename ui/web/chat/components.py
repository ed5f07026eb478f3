"""The boxes that a chat is made of, each with the reason for how it is set, and how its handlers act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.answering.answerer import MAX_QUESTION_LENGTH
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.components.handler_errors import Updates, run_handler

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
QUICK: dict[str, Any] = PRIVATE | {"queue": False}
"""Of every listener that answers at once: it waits for no answer that is being written."""


def guarded(act: Callable[[], Updates], line: gr.Markdown) -> Updates:
    """The updates that an act makes; if it can't be done, the reason in *line*."""

    def told(why: str) -> Updates:
        return {line: gr.update(value=why, visible=True)}

    return run_handler(act, told, what="the chat page", failed=texts.FAILED)


def chatbot() -> gr.Chatbot:
    """What was said."""
    # No Markdown in answers, and `as_message` leaves no HTML: what is shown is text, whatever a document or a model
    # wrote. No copy button: it would copy the escapes; see `copied_text`.
    return gr.Chatbot(
        show_label=False,
        placeholder=texts.WELCOME,
        render_markdown=False,
        sanitize_html=True,
        allow_tags=False,
        latex_delimiters=[],
        feedback_options=None,
        buttons=[],
        layout="bubble",
        height="100%",
        elem_classes="nj-messages",
        group_consecutive_messages=False,
    )


def question_box() -> gr.MultimodalTextbox:
    """Where the next question is typed and files are dropped; its button stops an answer that is being written."""
    return gr.MultimodalTextbox(
        show_label=False,
        label=texts.ASK_LABEL,
        placeholder=texts.ASK_PLACEHOLDER,
        lines=1,
        max_lines=6,
        max_plain_text_length=50
        * MAX_QUESTION_LENGTH,  # what is pasted stays a question, and one that is too long is told so
        file_count="multiple",
        sources=["upload"],
        submit_btn=True,
        autofocus=True,
        container=False,
        elem_classes="nj-question",
    )


def question_value(text: str = "") -> dict[str, Any]:
    """What the box of questions holds."""
    return {"text": text, "files": []}


def filter_boxes() -> list[gr.Textbox]:
    """Where to look: source, types and first day; closed until somebody wants them."""
    with gr.Accordion(texts.WHERE, open=False, elem_classes="nj-where"), gr.Row():
        return [
            gr.Textbox(label=label, placeholder=example, max_length=1000, min_width=140, lines=1, max_lines=1)
            for label, example in texts.WHERE_BOXES.items()
        ]


def chip(kind: str) -> gr.Button:
    """A small note that is taken back by a click; hidden as long as there is nothing to say."""
    return gr.Button("", size="sm", min_width=0, visible=False, elem_classes=["nj-chip", f"nj-{kind}"])


def copied_text() -> gr.Textbox:
    """The answer as text, for nightjar.js to copy; never seen."""
    return gr.Textbox(label=said.COPY_LABEL, visible="hidden", interactive=False, elem_classes="nj-to-copy")
