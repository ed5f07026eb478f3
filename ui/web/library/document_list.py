"""The Library's list of documents: searched, sorted and paged by SQL, a row of buttons and cells for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from rag.app.app import App
from rag.insights.document_listing import DOCUMENT_SORTS, DocumentQuery
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.texts import library as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.handler_errors import Updates
from ui.web.components.library_errors import QUIET, guarded_library_action
from ui.web.components.pager import Pager
from ui.web.library.render_list import document_button_label, document_cells

N_ROWS = 20
DESCENDING_FIRST = ("passages", "size", "added", "helpful", "not_relevant", "outdated", "cited")


@dataclass(frozen=True, slots=True)
class DocumentView:
    """What one browser tab looks at. Kept on the server: the ids behind the rows never come from the browser."""

    wanted: DocumentQuery = field(default_factory=DocumentQuery)
    offset: int = 0
    ids: tuple[str, ...] = ()
    """Of the documents in the rows."""


class DocumentList:
    """The components of the list. Made once, inside the Gradio container that is open."""

    def __init__(self, opening: AppStartup, status: gr.Markdown) -> None:
        self._opening = opening
        self._status = status
        self.view = gr.State(DocumentView())
        with gr.Row(elem_classes=["nj-pick", "nj-seek"], equal_height=True):
            self.match = gr.Textbox(
                label=texts.SEARCH_LABEL,
                placeholder=texts.SEARCH_PLACEHOLDER,
                lines=1,
                max_lines=1,
                max_length=1000,
                submit_btn=texts.FIND,
                scale=3,
                elem_classes="nj-look",
            )
            self.only = gr.Dropdown(
                label=texts.ONLY_LABEL,
                choices=[(name, key) for key, name in texts.ONLY.items()],
                value="",
                scale=2,
                filterable=False,
                elem_classes="nj-offered",
            )
        with gr.Row(elem_classes="nj-columns"):
            self.columns = {key: _column(key) for key in texts.COLUMNS}
        self.rows = [_Row.make() for _ in range(N_ROWS)]
        self.none = gr.Markdown(visible=False, elem_classes="nj-quiet")
        self.pager = Pager(N_ROWS, texts.DOCUMENTS)

    @property
    def outputs(self) -> list[Any]:
        """What `shown` updates."""
        of_rows = [part for row in self.rows for part in (row.box, row.name, row.cells)]
        return [self.view, *self.columns.values(), *of_rows, self.none, *self.pager.outputs]

    def listen(self) -> None:
        """Connects the components with what happens."""
        out = [*self.outputs, self._status]
        # Not "once", Gradio's default: what is chosen while the answer before is under way would be lost.
        gr.on(
            [self.match.submit, self.only.input],
            self.find,
            [self.view, self.match, self.only],
            out,
            trigger_mode="always_last",
            **QUIET,
        )
        self.pager.listen(self._turner, self.view, out)
        for key, column in self.columns.items():
            if key in DOCUMENT_SORTS:
                column.click(self._sorter(key), [self.view], out, **QUIET)

    def find(self, view: DocumentView, match: str | None, only: str | None, request: gr.Request) -> Updates:
        """Shows the first page of what is wanted; those called outdated most often come first among themselves."""

        def found(app: App) -> Updates:
            sort = "-outdated" if only == "outdated" else view.wanted.sort
            wanted = DocumentQuery((match or "").strip(), sort, only or "")
            return self.shown(app, DocumentView(wanted), current_user(request)) | {self._status: ""}

        return guarded_library_action(self._opening, self._status, found)

    def shown(self, app: App, view: DocumentView, person: CurrentUser) -> Updates:
        """The page that *view* is at; the last one, if there are no longer this many."""
        listed, n = app.document_listing().page(view.wanted, N_ROWS, view.offset)
        if not listed and view.offset:
            return self.shown(app, replace(view, offset=max(0, (n - 1) // N_ROWS * N_ROWS)), person)
        updates: Updates = {self.view: replace(view, ids=tuple(document.document_id for document in listed))}
        for index, row in enumerate(self.rows):
            one = listed[index] if index < len(listed) else None
            updates[row.box] = gr.update(visible=one is not None)
            updates |= {row.name: document_button_label(one), row.cells: document_cells(one)} if one else {}
        for key, column in self.columns.items():
            updates[column] = _heading(key, view.wanted.sort)
        empty = texts.NONE_YET if person.may("administrator") else texts.NONE_YET_READER
        is_narrowed = bool(view.wanted.match or view.wanted.only)
        updates[self.none] = gr.update(value=texts.NONE_SUCH if is_narrowed else empty, visible=not listed)
        return updates | self.pager.shown(view.offset, len(listed), n)

    def _turner(self, by: int) -> Callable[..., Updates]:
        def turn(view: DocumentView, request: gr.Request) -> Updates:
            turned = replace(view, offset=max(0, view.offset + by))
            return guarded_library_action(
                self._opening, self._status, lambda app: self.shown(app, turned, current_user(request))
            )

        return turn

    def _sorter(self, key: str) -> Callable[..., Updates]:
        def sort(view: DocumentView, request: gr.Request) -> Updates:
            first, other = (f"-{key}", key) if key in DESCENDING_FIRST else (key, f"-{key}")
            wanted = replace(view.wanted, sort=other if view.wanted.sort == first else first)
            return guarded_library_action(
                self._opening, self._status, lambda app: self.shown(app, DocumentView(wanted), current_user(request))
            )

        return sort


@dataclass(frozen=True, eq=False)
class _Row:
    """The place of one document. All of them are made with the page, and filled or hidden later."""

    box: Any
    name: Any
    cells: Any

    @classmethod
    def make(cls) -> _Row:
        """An empty, hidden place."""
        with gr.Row(visible=False, elem_classes="nj-row") as box:
            name = gr.Button("", size="sm", min_width=0, elem_classes="nj-entry")
            return cls(box, name, html_block())


def _column(key: str) -> gr.Button:
    return gr.Button(
        _heading(key, "source"),
        size="sm",
        min_width=0,
        interactive=key in DOCUMENT_SORTS,
        elem_classes=["nj-column", f"nj-column-{key}"],
    )


def _heading(key: str, sort: str) -> str:
    name = texts.COLUMNS[key]
    return name + (texts.UP if sort == key else texts.DOWN if sort == f"-{key}" else "")
