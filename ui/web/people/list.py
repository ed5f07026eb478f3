"""Of the page of people: the list, found by name and paged by SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from rag.accounts.account_listing import AccountListing
from rag.app.app import App
from ui.auth.current_user import CurrentUser
from ui.texts import people as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.handler_errors import Updates
from ui.web.components.pager import format_range
from ui.web.people.render import people_cells, render_people_headings
from ui.web.people.shared import QUIET, PeopleActions

N_ROWS = 20


@dataclass(frozen=True, slots=True)
class PeopleView:
    """What one browser tab looks at. Kept on the server: the names behind the rows never come from the browser."""

    match: str = ""
    offset: int = 0
    names: tuple[str, ...] = ()
    """Of the people in the rows."""


class PeopleList:
    """The components of the list. Made once, inside the Gradio container that is open."""

    def __init__(self, desk: PeopleActions) -> None:
        self._desk = desk
        self.view = gr.State(PeopleView())
        with gr.Row(visible=False, elem_classes=["nj-pick", "nj-seek"]) as self.seek:
            self.match = gr.Textbox(
                label=texts.SEARCH_LABEL,
                lines=1,
                max_lines=1,
                max_length=100,
                submit_btn=texts.FIND,
                elem_classes="nj-look",
            )
        self.headings = gr.Markdown(render_people_headings(), sanitize_html=True, latex_delimiters=[])
        self.rows = [_Row.make() for _ in range(N_ROWS)]
        self.none = gr.Markdown(texts.NONE_SUCH, visible=False, elem_classes="nj-quiet")
        with gr.Row(visible=False, elem_classes="nj-pager") as self.pager:
            self.earlier = gr.Button(texts.EARLIER, size="sm", min_width=0, elem_classes="nj-vote")
            self.range = gr.Markdown("", elem_classes="nj-quiet")
            self.later = gr.Button(texts.LATER, size="sm", min_width=0, elem_classes="nj-vote")

    @property
    def outputs(self) -> list[Any]:
        """What `shown` updates."""
        of_rows = [part for row in self.rows for part in (row.box, row.name, row.cells)]
        return [self.view, self.seek, *of_rows, self.none, self.pager, self.range, self.earlier, self.later]

    def listen(self) -> None:
        """Connects the components with what happens."""
        out = [*self.outputs, *self._desk.told]
        self.match.submit(self.find, [self.match], out, trigger_mode="always_last", **QUIET)
        self.earlier.click(self._turner(-N_ROWS), [self.view], out, **QUIET)
        self.later.click(self._turner(N_ROWS), [self.view], out, **QUIET)

    def find(self, match: str | None, request: gr.Request) -> Updates:
        """Shows the first page of those whose name holds what was typed."""
        return self._desk.run(request, lambda app, person: self.shown(app, PeopleView(match or ""), person))

    def shown(self, app: App, view: PeopleView, person: CurrentUser) -> Updates:
        """The page that *view* is at; the last one, if there are no longer this many."""
        listed, n = AccountListing(app.engine).page(view.match, N_ROWS, view.offset)
        if not listed and view.offset:
            return self.shown(app, replace(view, offset=max(0, (n - 1) // N_ROWS * N_ROWS)), person)
        updates: Updates = {self.view: replace(view, names=tuple(account.account.name for account in listed))}
        for index, row in enumerate(self.rows):
            one = listed[index] if index < len(listed) else None
            updates[row.box] = gr.update(visible=one is not None)
            updates |= {row.name: one.account.name, row.cells: people_cells(one, person)} if one else {}
        return updates | {
            self.seek: gr.update(visible=n > N_ROWS or bool(view.match)),
            self.none: gr.update(visible=not listed),
            self.pager: gr.update(visible=n > N_ROWS),
            self.range: format_range(texts.PEOPLE, view.offset, len(listed), n),
            self.earlier: gr.update(interactive=view.offset > 0),
            self.later: gr.update(interactive=view.offset + N_ROWS < n),
        }

    def _turner(self, by: int) -> Callable[..., Updates]:
        def turn(view: PeopleView, request: gr.Request) -> Updates:
            def turned(app: App, person: CurrentUser) -> Updates:
                return self.shown(app, replace(view, offset=max(0, view.offset + by)), person)

            return self._desk.run(request, turned)

        return turn


@dataclass(frozen=True, eq=False)
class _Row:
    """The place of one person. All of them are made with the page, and filled or hidden later."""

    box: Any
    name: Any
    cells: Any

    @classmethod
    def make(cls) -> _Row:
        """An empty, hidden place."""
        with gr.Row(visible=False, elem_classes=["nj-row", "nj-human"]) as box:
            name = gr.Button("", size="sm", min_width=0, elem_classes="nj-entry")
            return cls(box, name, html_block())
