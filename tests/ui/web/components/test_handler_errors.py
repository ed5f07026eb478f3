"""What a handler gives back to Gradio if it changes nothing, or if it can't be done."""

from __future__ import annotations

import ast
from pathlib import Path

import gradio as gr
import pytest

from rag.errors import NightjarError
from ui.web.chat import page
from ui.web.components.handler_errors import Updates, run_handler

WEB = Path(page.__file__).parents[1]

# Their result is merged into the updates of a handler, or passes through run_handler.
MAY_RETURN_NO_UPDATES = {
    "_give",
    "_ask_why",
    "_say",
    "_keep_as_test",
    "_found",
    "_pin",
    "_judged",
    "give",
    "show",
    "pinned",
    "mark_pinned",
}


def message_line(why: str) -> Updates:
    return {"line": why}


def test_no_updates_are_given_to_gradio_as_a_skip() -> None:
    assert run_handler(dict, message_line, what="the test", failed="failed") == gr.skip()


def test_updates_are_given_to_gradio_as_they_are() -> None:
    assert run_handler(lambda: {"box": 1}, message_line, what="the test", failed="failed") == {"box": 1}


def test_a_refusal_is_shown_in_the_line_and_escaped() -> None:
    def refuse() -> Updates:
        raise NightjarError("<b>")

    assert run_handler(refuse, message_line, what="the test", failed="failed") == {"line": "&#60;b&#62;"}


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.py")), ids=lambda path: path.relative_to(WEB).as_posix())
def test_no_listener_returns_an_empty_dict(path: Path) -> None:
    """Gradio 6.31 takes it for the value of one component, and answers 500 if a listener has several."""
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    empty = {
        function.name
        for function in functions
        for statement in ast.walk(function)
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Dict) and not statement.value.keys
    }
    enclosing = {
        function.name
        for function in functions
        if any(child in functions for child in ast.walk(function) if child is not function)
    }
    assert empty <= MAY_RETURN_NO_UPDATES | enclosing
