"""Of the page of people: locking out and forgetting, each in two steps on the page itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import gradio as gr

from rag.accounts.accounts import Accounts, normalise_name
from rag.app.app import App
from rag.errors import UsageError
from ui.actions.erase_person import erase_person, format_erasure
from ui.auth.current_user import CurrentUser
from ui.html.fragments import escape_html
from ui.texts import people as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.handler_errors import Updates
from ui.web.people.shared import QUIET, PeopleActions

Asked = Literal["", "lock", "forget"]


class Offboarding:
    """The components and what happens to them. Made once, inside the Gradio container that is open."""

    def __init__(
        self,
        desk: PeopleActions,
        name: gr.State,
        shown: Callable[[App, str, CurrentUser], Updates],
        without: Callable[[App, CurrentUser], Updates],
    ) -> None:
        self._desk = desk
        self._name = name
        self._shown = shown
        """The person as they are now."""
        self._without = without
        """The page once they are gone."""
        self.asked = gr.State("")
        with gr.Column(elem_classes="nj-change"):
            gr.Markdown(f"### {texts.LEAVE_TITLE}\n{texts.LEAVE_INTRO}", elem_classes="nj-intro")
            with gr.Row(elem_classes="nj-acts"):
                self.lock = gr.Button(texts.LOCK, min_width=0, elem_classes="nj-act")
                self.unlock = gr.Button(texts.UNLOCK, visible=False, min_width=0, elem_classes="nj-act")
                self.forget = gr.Button(texts.FORGET, min_width=0, elem_classes="nj-act")
            with gr.Column(visible=False, elem_classes=["nj-card", "nj-removal"]) as self.box:
                self.told = html_block()
                self.typed = gr.Textbox(
                    label=texts.TYPE_NAME, lines=1, max_lines=1, max_length=100, visible=False, elem_classes="nj-look"
                )
                with gr.Row(elem_classes="nj-votes"):
                    self.do = gr.Button("", size="sm", min_width=0, elem_classes=["nj-vote", "nj-remove"])
                    self.keep = gr.Button(texts.LEAVE_IT, size="sm", min_width=0, elem_classes=["nj-vote", "nj-keep"])

    @property
    def outputs(self) -> list[Any]:
        """What its handlers update, next to the person."""
        return [self.asked, self.lock, self.unlock, self.forget, self.box, self.told, self.typed, self.do]

    def listen(self, outputs: list[Any], further: list[Any]) -> None:
        """Connects the components; *outputs* is all that shows the person, *further* what shows the page without them."""
        self.lock.click(self.ask_lock, [self._name], outputs, **QUIET)
        self.unlock.click(self.let_in, [self._name], outputs, **QUIET)
        self.forget.click(self.ask_forget, [self._name], outputs, **QUIET)
        self.keep.click(self.leave, [self._name], outputs, **QUIET)
        self.do.click(self.go, [self._name, self.asked, self.typed], [*outputs, *further], **QUIET)

    def closed(self, *, is_locked: bool) -> Updates:
        """Nothing is asked."""
        return {
            self.asked: "",
            self.box: gr.update(visible=False),
            self.typed: "",
            self.lock: gr.update(visible=not is_locked),
            self.unlock: gr.update(visible=is_locked),
        }

    def ask_lock(self, name: str, request: gr.Request) -> Updates:
        """Says what locking out does, and asks."""
        return self._desk.run(
            request, lambda _app, _person: self._question("lock", texts.LOCK_ASKED.format(name=escape_html(name)))
        )

    def ask_forget(self, name: str, request: gr.Request) -> Updates:
        """Says what would go, and asks for the name."""

        def asked(app: App, _person: CurrentUser) -> Updates:
            told = format_erasure(name, *erase_person(app, name, dry_run=True), dry_run=True)
            return self._question("forget", _paragraphs([*told, texts.FORGET_ASKED]))

        return self._desk.run(request, asked)

    def _question(self, what: Asked, told: str) -> Updates:
        return {
            self.asked: what,
            self.box: gr.update(visible=True),
            self.told: told,
            self.typed: gr.update(value="", visible=what == "forget"),
            self.do: texts.DO_FORGET if what == "forget" else texts.DO_LOCK,
        }

    def go(self, name: str, asked: Asked, typed: str | None, request: gr.Request) -> Updates:
        """Does what was asked about."""

        def gone(app: App, person: CurrentUser) -> Updates:
            if asked == "lock":
                Accounts(app.engine).lock(name)
                return self._shown(app, name, person) | {
                    self._desk.status: texts.LOCKED_NOW.format(name=escape_html(name))
                }
            return self._forgotten(app, name, typed or "", person) if asked == "forget" else {}

        return self._desk.run(request, gone)

    def _forgotten(self, app: App, name: str, typed: str, person: CurrentUser) -> Updates:
        if normalise_name(typed) != name:
            raise UsageError(texts.TYPED_WRONG.format(typed=typed, name=name))
        told = format_erasure(name, *erase_person(app, name), dry_run=False)
        return self._without(app, person) | {self._desk.status: " ".join(map(escape_html, [*told, texts.FORGOTTEN]))}

    def let_in(self, name: str, request: gr.Request) -> Updates:
        """Unlocks them."""

        def unlocked(app: App, person: CurrentUser) -> Updates:
            Accounts(app.engine).unlock(name)
            return self._shown(app, name, person) | {self._desk.status: texts.UNLOCKED.format(name=escape_html(name))}

        return self._desk.run(request, unlocked)

    def leave(self, name: str, request: gr.Request) -> Updates:
        """Does nothing of what was asked about."""
        return self._desk.run(
            request, lambda app, person: self._shown(app, name, person) | {self._desk.status: texts.LEFT}
        )


def _paragraphs(sentences: list[str]) -> str:
    return "".join(f"<p>{escape_html(sentence)}</p>" for sentence in sentences)
