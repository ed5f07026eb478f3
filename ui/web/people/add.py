"""Of the page of people: somebody new."""

from __future__ import annotations

import gradio as gr

from rag.accounts.accounts import Accounts
from rag.app.app import App
from ui.auth.current_user import CurrentUser
from ui.html.fragments import escape_html
from ui.texts import people as texts
from ui.web.components.handler_errors import Updates
from ui.web.people.list import PeopleList, PeopleView
from ui.web.people.shared import QUIET, PeopleActions, password_box, password_or_generated


class AddPerson:
    """The components and what happens to them. Made once, inside the Gradio container that is open."""

    def __init__(self, desk: PeopleActions, people: PeopleList) -> None:
        self._desk = desk
        self._people = people
        with gr.Column(scale=0, elem_classes=["nj-change", "nj-add-person"]):
            gr.Markdown(f"### {texts.ADD_TITLE}")
            with gr.Row(elem_classes="nj-pick"):
                self.name = gr.Textbox(
                    label=texts.NAME_LABEL,
                    info=texts.NAME_HINT,
                    lines=1,
                    max_lines=1,
                    max_length=64,
                    html_attributes=gr.InputHTMLAttributes(autocapitalize="none", autocomplete="off", spellcheck=False),
                    elem_classes="nj-look",
                )
                self.password = password_box()
            self.role = gr.Radio(texts.ROLE_CHOICES, value="voter", label=texts.ROLE_LABEL, elem_classes="nj-tier")
            with gr.Row(elem_classes="nj-acts"):
                self.button = gr.Button(texts.ADD, variant="primary", min_width=0, elem_classes="nj-act")

    def listen(self) -> None:
        """Connects the components with what happens."""
        given, out = [self.name, self.role, self.password], [*self._desk.told, *self._people.outputs]
        self.button.click(self.add, given, [*out, self.name, self.password], **QUIET)

    def add(self, name: str | None, role: str | None, password: str | None, request: gr.Request) -> Updates:
        """Gives somebody an account, and shows their password if it was made here."""

        def added(app: App, person: CurrentUser) -> Updates:
            chosen, is_made = password_or_generated(password)
            account = Accounts(app.engine).add(name or "", role or "", chosen)
            told = texts.ADDED.format(name=escape_html(account.name), role=account.role)
            shown = self._desk.show_password_once(account.name, chosen) if is_made else {}
            listed = self._people.shown(app, PeopleView(), person)
            return listed | shown | {self._desk.status: told, self.name: "", self.password: ""}

        return self._desk.run(request, added)
