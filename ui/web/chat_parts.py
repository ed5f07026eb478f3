"""The boxes that a chat is made of, each with the reason for how it is set."""

from __future__ import annotations

import gradio as gr

from rag.answer import MAX_QUESTION
from ui.web import texts


def chatbot() -> gr.Chatbot:
    """What was said."""
    # No Markdown in answers, and `as_message` leaves no HTML: what is shown is text, whatever a document or a model
    # wrote. No copy button: it would copy the escapes.
    return gr.Chatbot(
        show_label=False, placeholder=texts.WELCOME, render_markdown=False, sanitize_html=True, allow_tags=False,
        latex_delimiters=[], feedback_options=None, buttons=[], layout="bubble", height="100%",
        elem_classes="nj-messages", group_consecutive_messages=False,
    )  # fmt: skip


def question_box() -> gr.Textbox:
    """Where the next question is typed; its button stops an answer that is being written."""
    return gr.Textbox(
        show_label=False, label=texts.ASK_LABEL, placeholder=texts.ASK_PLACEHOLDER, lines=1, max_lines=6,
        max_length=MAX_QUESTION, submit_btn=True, autofocus=True, container=False, elem_classes="nj-question",
    )  # fmt: skip


def filter_boxes() -> list[gr.Textbox]:
    """Where to look: source, types and first day; closed until somebody wants them."""
    with gr.Accordion(texts.WHERE, open=False, elem_classes="nj-where"), gr.Row():
        return [
            gr.Textbox(label=label, placeholder=example, max_length=1000, min_width=140, lines=1, max_lines=1)
            for label, example in texts.WHERE_BOXES.items()
        ]
