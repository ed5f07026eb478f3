"""Pages of a long list on the Library page: the one before, if this one is, and the one after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.texts import library as texts
from ui.web.components.handler_errors import Updates
from ui.web.components.library_errors import QUIET


class Pager:
    """The row of components. Made once, inside the Gradio container that is open."""

    def __init__(self, size: int, what: str) -> None:
        """Pages of *size* of *what*, in the plural, as the text between the buttons says."""
        self._size = size
        self._what = what
        with gr.Row(elem_classes="nj-pager"):
            self._earlier = gr.Button(texts.EARLIER, size="sm", min_width=0, elem_classes="nj-vote")
            self._range = gr.Markdown("", elem_classes="nj-quiet")
            self._later = gr.Button(texts.LATER, size="sm", min_width=0, elem_classes="nj-vote")

    @property
    def outputs(self) -> list[Any]:
        """What `shown` updates."""
        return [self._range, self._earlier, self._later]

    def listen(self, turner: Callable[[int], Callable[..., Updates]], state: gr.State, out: list[Any]) -> None:
        """Connects the buttons with what turns the page that *state* is at by this many."""
        self._earlier.click(turner(-self._size), [state], out, **QUIET)
        self._later.click(turner(self._size), [state], out, **QUIET)

    def shown(self, offset: int, n_here: int, n: int) -> Updates:
        """The page of *n* that begins after *offset* and holds *n_here*; no buttons if there is only one."""
        is_long = n > self._size
        return {
            self._range: format_range(self._what, offset, n_here, n),
            self._earlier: gr.update(interactive=offset > 0, visible=is_long),
            self._later: gr.update(interactive=offset + self._size < n, visible=is_long),
        }


def format_range(what: str, offset: int, n_shown: int, n: int) -> str:
    """Which of them are on the page.

    >>> format_range("Documents", 20, 3, 1023)
    'Documents 21–23 of 1,023'
    """
    return texts.RANGE.format(what=what, first=offset + 1, last=offset + n_shown, n=n) if n_shown else ""
