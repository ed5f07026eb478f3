"""Of the page of people: one person, with what they may do and what they are signed in by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.accounts.account_listing import AccountListing
from rag.accounts.accounts import Accounts
from rag.accounts.sessions_and_tokens import CredentialStore
from rag.app.app import App
from rag.errors import NotFoundError
from ui.auth.current_user import CurrentUser
from ui.html.fragments import escape_html
from ui.texts import people as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.handler_errors import Updates
from ui.web.people.offboarding import Offboarding
from ui.web.people.render import render_person_head, render_sessions, render_tokens, token_choices
from ui.web.people.shared import QUIET, PeopleActions, password_box, password_or_generated


class PersonDetails:
    """The components and what happens to them. Made once, inside the Gradio container that is open."""

    def __init__(self, desk: PeopleActions, without: Callable[[App, CurrentUser], Updates]) -> None:
        self._desk = desk
        self.name = gr.State("")
        """Kept on the server: whom the acts are about never comes from the browser."""
        self.back = gr.Button(texts.BACK, size="sm", min_width=0, elem_classes="nj-vote")
        self.head = html_block()
        with gr.Row(elem_classes="nj-parts"):
            with gr.Column(elem_classes="nj-change", min_width=300):
                self.role_title = gr.Markdown("", latex_delimiters=[])
                self.role = gr.Radio(texts.ROLE_CHOICES, label=texts.ROLE_LABEL, elem_classes="nj-tier")
                self.change_role = _act(texts.CHANGE_ROLE)
            with gr.Column(elem_classes="nj-change", min_width=300):
                gr.Markdown(f"### {texts.PASSWORD_TITLE}\n{texts.PASSWORD_WHY}")
                self.password = password_box()
                self.set_password = _act(texts.SET_PASSWORD)
        with gr.Row(elem_classes="nj-parts"):
            with gr.Column(elem_classes="nj-change", min_width=300):
                gr.Markdown(f"### {texts.SESSIONS_TITLE}")
                self.sessions = html_block()
                self.end_sessions = _act(texts.END_SESSIONS)
            with gr.Column(elem_classes="nj-change", min_width=300):
                gr.Markdown(f"### {texts.TOKENS_TITLE}")
                self.tokens = html_block()
                self.which = gr.Dropdown([], value=None, label=texts.WHICH_TOKEN, elem_classes="nj-offered")
                self.revoke = _act(texts.REVOKE)
        self.leaving = Offboarding(desk, self.name, self.shown, without)

    @property
    def outputs(self) -> list[Any]:
        """What `shown` updates."""
        return [
            self.name,
            self.head,
            self.role_title,
            self.role,
            self.password,
            self.sessions,
            self.end_sessions,
            self.tokens,
            self.which,
            self.revoke,
            *self.leaving.outputs,
            *self._desk.told,
        ]

    def listen(self, further: list[Any]) -> None:
        """Connects the components; *further* is what shows the page once somebody was forgotten."""
        self.change_role.click(self.give_role, [self.name, self.role], self.outputs, **QUIET)
        self.set_password.click(self.give_password, [self.name, self.password], self.outputs, **QUIET)
        self.end_sessions.click(self.sign_out, [self.name], self.outputs, **QUIET)
        self.revoke.click(self.revoke_token, [self.name, self.which], self.outputs, **QUIET)
        self.leaving.listen(self.outputs, further)

    def shown(self, app: App, name: str, person: CurrentUser) -> Updates:
        """A person as they are now.

        Raises:
            NotFoundError: they have no account any more.
        """
        one = AccountListing(app.engine).one(name)
        if one is None:
            raise NotFoundError(texts.GONE.format(name=name))
        held = CredentialStore(app.engine)
        sessions, tokens = held.sessions(name), [token for token in held.tokens(name) if not token.is_revoked]
        return {
            self.name: name,
            self.head: render_person_head(one, person),
            self.role_title: f"### {texts.ROLE_TITLE.format(name=escape_html(name))}",
            self.role: one.account.role,
            self.password: "",
            self.sessions: render_sessions(sessions),
            self.end_sessions: gr.update(visible=bool(sessions)),
            self.tokens: render_tokens(tokens),
            self.which: gr.update(choices=token_choices(tokens), value=None, visible=bool(tokens)),
            self.revoke: gr.update(visible=bool(tokens)),
        } | self.leaving.closed(is_locked=one.account.is_locked)

    def give_role(self, name: str, role: str | None, request: gr.Request) -> Updates:
        """Lets them do more or less."""

        def given(app: App, person: CurrentUser) -> Updates:
            Accounts(app.engine).set_role(name, role or "")
            told = texts.ROLE_CHANGED.format(name=escape_html(name), role=role)
            return self.shown(app, name, person) | {self._desk.status: told}

        return self._desk.run(request, given)

    def give_password(self, name: str, password: str | None, request: gr.Request) -> Updates:
        """Sets a new password, and shows it if it was made here."""

        def given(app: App, person: CurrentUser) -> Updates:
            chosen, is_made = password_or_generated(password)
            Accounts(app.engine).set_password(name, chosen)
            told = {self._desk.status: texts.PASSWORD_SET.format(name=escape_html(name))}
            return (
                self.shown(app, name, person) | told | (self._desk.show_password_once(name, chosen) if is_made else {})
            )

        return self._desk.run(request, given)

    def sign_out(self, name: str, request: gr.Request) -> Updates:
        """Ends all their sessions."""

        def ended(app: App, person: CurrentUser) -> Updates:
            CredentialStore(app.engine).end_sessions(name)
            told = texts.SESSIONS_ENDED.format(name=escape_html(name))
            return self.shown(app, name, person) | {self._desk.status: told}

        return self._desk.run(request, ended)

    def revoke_token(self, name: str, token_id: str | None, request: gr.Request) -> Updates:
        """Ends one of their tokens."""

        def revoked(app: App, person: CurrentUser) -> Updates:
            if not token_id:
                return {self._desk.status: texts.CHOOSE_TOKEN}
            held = CredentialStore(app.engine)
            labels = {token.token_id: token.label for token in held.tokens(name)}
            held.revoke(token_id, name)
            return self.shown(app, name, person) | {
                self._desk.status: texts.REVOKED.format(label=escape_html(labels[token_id]))
            }

        return self._desk.run(request, revoked)


def _act(name: str) -> gr.Button:
    with gr.Row(elem_classes="nj-acts"):
        return gr.Button(name, min_width=0, elem_classes="nj-act")
