"""What every act on the page of people shares: who may do it, the line that tells what came of it, and a password shown once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from rag.accounts.accounts import MIN_PASSWORD, generate_password
from rag.app.app import App
from rag.errors import ForbiddenError
from ui.auth.authenticate import Authenticated
from ui.auth.current_user import CurrentUser, RequestWithState, current_user
from ui.background.startup import AppStartup
from ui.texts import people as texts
from ui.web.components.handler_errors import Updates, run_handler

QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": 1,
    "concurrency_id": "people",
}
"""Of every listener here. One at a time: hashing a password takes a tenth of a second and 64 MiB."""


def people_administrator(request: RequestWithState | None) -> CurrentUser:
    """The administrator that a request is from.

    Raises:
        ForbiddenError: they are none, or came by a token: one that leaked must not make accounts, or take them over.
    """
    person = current_user(request)
    person.require_role("administrator")
    found = getattr(request.state, "identified", None) if request is not None else None
    if isinstance(found, Authenticated) and found.way == "token":
        raise ForbiddenError(texts.WAYS_OF_TOKENS)
    return person


@dataclass(frozen=True, eq=False)
class PeopleActions:
    """Where acts are done and told. Made once, inside the Blocks that are open."""

    opening: AppStartup
    status: Any
    secret: Any
    """A password that was made: shown once, and gone with the next act or when the page is loaded again."""

    @classmethod
    def make(cls, opening: AppStartup) -> PeopleActions:
        """An empty one."""
        with gr.Column(elem_classes="nj-people-told", scale=0):
            status = gr.Markdown("", latex_delimiters=[], elem_classes=["nj-quiet", "nj-status"])
            secret = gr.Textbox(
                label="",
                interactive=False,
                visible=False,
                lines=1,
                max_lines=1,
                buttons=["copy"],
                elem_classes="nj-secret",
            )
        return cls(opening, status, secret)

    @property
    def told(self) -> list[Any]:
        """What every act updates."""
        return [self.status, self.secret]

    def run(self, request: RequestWithState | None, act: Callable[[App, CurrentUser], Updates]) -> Updates:
        """The updates of an administrator's act; if it can't be done, the reason."""
        gone = {self.status: "", self.secret: gr.update(value="", visible=False)}

        def by_who_may() -> Updates:
            person = people_administrator(request)
            return gone | act(self.opening.app(), person)

        return run_handler(
            by_who_may, lambda why: gone | {self.status: why}, what="the page of people", failed=texts.FAILED
        )

    def show_password_once(self, name: str, password: str) -> Updates:
        """Shows a password that was made."""
        return {self.secret: gr.update(value=password, label=texts.MADE.format(name=name), visible=True)}


def password_box() -> gr.Textbox:
    """Where a password is written; left empty, one is made."""
    return gr.Textbox(
        label=texts.PASSWORD_LABEL.format(n=MIN_PASSWORD),
        info=texts.PASSWORD_HINT,
        type="password",
        lines=1,
        max_lines=1,
        html_attributes=gr.InputHTMLAttributes(autocomplete="new-password"),
        elem_classes="nj-look",
    )


def password_or_generated(typed: str | None) -> tuple[str, bool]:
    """The password that was typed, or a new one; and whether it is new."""
    return (typed, False) if typed else (generate_password(), True)
