"""The page of people, for administrators: who may come in, what they may do, and how somebody leaves."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from rag.app.app import App
from ui.auth.current_user import CurrentUser
from ui.background.startup import AppStartup
from ui.texts import people as texts
from ui.web.chat.sources_panel import page_links
from ui.web.components.handler_errors import Updates
from ui.web.people.add import AddPerson
from ui.web.people.list import PeopleList, PeopleView
from ui.web.people.person import PersonDetails
from ui.web.people.shared import QUIET, PeopleActions


class PeoplePage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: AppStartup) -> None:
        self.desk = PeopleActions.make(opening)
        with gr.Column(visible=False, elem_classes="nj-people") as self.list_box:
            self.people = PeopleList(self.desk)
            self.adding = AddPerson(self.desk, self.people)
        with gr.Column(visible=False, elem_classes=["nj-people", "nj-one"]) as self.one_box:
            self.one = PersonDetails(self.desk, self._from_the_first)

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        boxes, listed = [self.list_box, self.one_box], [*self.people.outputs, *self.desk.told]
        self.people.listen()
        self.adding.listen()
        self.one.listen([*boxes, *self.people.outputs])
        for index, row in enumerate(self.people.rows):
            row.name.click(self._opener(index), [self.people.view], [*boxes, *self.one.outputs], **QUIET)
        self.one.back.click(self.look, [self.people.view], [*boxes, *listed], **QUIET)
        blocks.load(self.look, [self.people.view], [*boxes, *listed], **QUIET)

    def look(self, view: PeopleView, request: gr.Request) -> Updates:
        """The list as it is now."""
        return self.desk.run(request, lambda app, person: self._listed(app, view, person))

    def _listed(self, app: App, view: PeopleView, person: CurrentUser) -> Updates:
        return self._showing(one=False) | self.people.shown(app, view, person)

    def _from_the_first(self, app: App, person: CurrentUser) -> Updates:
        return self._listed(app, PeopleView(), person)

    def _showing(self, *, one: bool) -> Updates:
        """One person in place of the list, or the list."""
        return {self.list_box: gr.update(visible=not one), self.one_box: gr.update(visible=one)}

    def _opener(self, place: int) -> Callable[..., Updates]:
        def open_row(view: PeopleView, request: gr.Request) -> Updates:
            def opened(app: App, person: CurrentUser) -> Updates:
                return self._showing(one=True) | self.one.shown(app, view.names[place], person)

            return self.desk.run(request, opened)

        return open_row


def fill_people_page(blocks: gr.Blocks, opening: AppStartup, *, accounts: bool) -> None:
    """Makes the page inside *blocks*, which are open; without *accounts* it says how to begin."""
    with gr.Row(elem_classes="nj-top"):
        gr.Markdown(f"# {texts.TITLE}\n{texts.TAGLINE}", elem_classes="nj-brand")
        page_links("people")
    if accounts:
        PeoplePage(opening).listen(blocks)
    else:
        gr.Markdown(texts.NO_ACCOUNTS, latex_delimiters=[], elem_classes="nj-intro")
