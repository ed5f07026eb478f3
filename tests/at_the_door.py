"""Requests as handlers get them: with the person whom the door has found, or, where it was passed by, with nobody."""

from __future__ import annotations

import gradio as gr
from starlette.requests import Request

from ui.person import WHOEVER_IS_HERE, Person


def request_of(person: Person | None = WHOEVER_IS_HERE) -> gr.Request:
    """A request of Gradio's; that of a FastAPI handler is its `request`."""
    state = {} if person is None else {"person": person}
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [], "state": state}
    return gr.Request(request=Request(scope), session_hash="a-tab")
