"""One document of the Library: its facts, its text with the places where passages begin and end, and its removal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from rag.app.app import App
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.texts import library as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.document_html import render_document
from ui.web.components.handler_errors import Updates
from ui.web.components.library_errors import QUIET, guarded_library_action
from ui.web.components.pager import Pager
from ui.web.library.remove import RemoveRow
from ui.web.library.render_list import render_document_head

N_PASSAGES = 30  # on a page of a document


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """What one browser tab reads. Kept on the server."""

    document_id: str = ""
    offset: int = 0
    """Passages before the first one shown."""
    passage_id: str | None = None
    """The one that is marked."""
    source: str = ""


class DocumentPreview:
    """The components of one document. Made once, inside the Gradio container that is open, and hidden at first."""

    def __init__(self, opening: AppStartup, status: gr.Markdown) -> None:
        self._opening = opening
        self._status = status
        self.reading = gr.State(OpenDocument())
        with gr.Row(elem_classes="nj-pager"):
            self.back = gr.Button(texts.BACK, size="sm", min_width=0, elem_classes=["nj-vote", "nj-back"])
            self.remove = gr.Button(texts.REMOVE, size="sm", min_width=0, elem_classes=["nj-vote", "nj-ask"])
        self.sure = RemoveRow(opening, status)
        self.head = html_block()
        self.text = html_block()
        self.pager = Pager(N_PASSAGES, texts.PASSAGES)

    @property
    def outputs(self) -> list[Any]:
        """What `shown` updates."""
        return [self.reading, self.head, self.text, *self.pager.outputs, self.remove, self.sure.box]

    def listen(self) -> None:
        """Connects the components with what happens inside."""
        out = [*self.outputs, self._status]
        self.pager.listen(self._turner, self.reading, out)
        self.remove.click(self.ask, [self.reading], self.sure.outputs, **QUIET)

    def ask(self, reading: OpenDocument, request: gr.Request) -> Updates:
        """Asks before the document is removed."""
        return self.sure.ask(reading.source, current_user(request))

    def opened(self, app: App, document_id: str, person: CurrentUser, passage_id: str | None = None) -> Updates:
        """The document from its beginning, or from the page of it that holds a passage, which is then marked."""
        place = app.document_listing().place(document_id, passage_id) if passage_id else 0
        return self.shown(app, OpenDocument(document_id, place // N_PASSAGES * N_PASSAGES, passage_id), person)

    def shown(self, app: App, reading: OpenDocument, person: CurrentUser) -> Updates:
        """The page of the document that *reading* is at."""
        catalogue = app.document_listing()
        one, document = catalogue.get(reading.document_id), app.library.document(reading.document_id)
        found = catalogue.passages(reading.document_id, N_PASSAGES, reading.offset)
        tallies = {passage.passage_id: tally for passage, tally in found}
        passages = [passage for passage, _ in found]
        outdated_by = catalogue.users_who_call_outdated(reading.document_id) if one.tally.outdated else {}
        return {
            self.reading: replace(reading, source=one.source),
            self.head: render_document_head(one, outdated_by, person),
            self.text: render_document(document, passages, reading.passage_id, tallies),
            self.remove: gr.update(visible=person.may("administrator")),
            self.sure.box: gr.update(visible=False),
        } | self.pager.shown(reading.offset, len(found), one.n_passages)

    def _turner(self, by: int) -> Callable[..., Updates]:
        def turn(reading: OpenDocument, request: gr.Request) -> Updates:
            turned = replace(reading, offset=max(0, reading.offset + by))
            return guarded_library_action(
                self._opening, self._status, lambda app: self.shown(app, turned, current_user(request))
            )

        return turn
