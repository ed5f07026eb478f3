"""What a person does on a page: done, or told why not in a sentence, with the traceback of what was not foreseen in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.errors import NightjarError
from ui.html.fragments import escape_html

log = logging.getLogger(__name__)

Updates = dict[Any, Any]


def no_updates() -> Updates:
    """What a handler returns if nothing changes: Gradio 6.31 takes an empty dict for the value of one component."""
    unchanged: Updates = gr.skip()
    return unchanged


def run_handler(act: Callable[[], Updates], told: Callable[[str], Updates], *, what: str, failed: str) -> Updates:
    """The updates that an act makes; if it can't be done, those that *told* makes of the reason, which is escaped.

    *what* names the act in the log, and *failed* is the reason for people, if the error was not foreseen.
    """
    try:
        return act() or no_updates()
    except NightjarError as error:
        return told(escape_html(str(error)))
    except Exception:
        log.exception("%s failed", what)
        return told(failed)
