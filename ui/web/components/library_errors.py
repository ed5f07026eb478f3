"""How the parts of the Library page act for a person: what can't be is told in a sentence, and the rest is logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.app.app import App
from ui.background.startup import AppStartup
from ui.texts import shared as texts
from ui.web.components.handler_errors import Updates, run_handler

QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": 4,
    "concurrency_id": "documents",
}
"""Of every listener here: each open page looks once a second, which must not take the room of those who chat."""


def guarded_library_action(opening: AppStartup, status: gr.Markdown, act: Callable[[App], Updates]) -> Updates:
    """The updates that an act makes; if it can't be done, the reason in the line of status."""
    return run_handler(
        lambda: act(opening.app()), lambda why: {status: why}, what="the Library page", failed=texts.FAILED
    )
