"""The Library page: documents and their passages, what is on its way in, and what people asked for in vain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.app.app import App
from rag.errors import NightjarError
from ui.actions.list_gaps import list_gaps
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.html.fragments import escape_html
from ui.texts import library as texts
from ui.web.chat.sources_panel import html_block, page_links
from ui.web.components.handler_errors import Updates
from ui.web.components.library_errors import QUIET, guarded_library_action
from ui.web.library.add import AddDocuments
from ui.web.library.document_list import DocumentList, DocumentView
from ui.web.library.preview import DocumentPreview
from ui.web.library.remove import RemoveRow
from ui.web.library.render_list import render_gaps

POLL_S = 1.0  # between two looks at what runs
Seen = tuple[str, tuple[int, int]]
"""What is shown of the ingests, and the state of the library that is shown."""
NOTHING: Seen = ("", (-1, -1))


class LibraryPage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        with gr.Row(elem_classes="nj-top"):
            gr.Markdown(f"# {texts.TITLE}\n{texts.TAGLINE}", elem_classes="nj-brand")
            page_links("documents")
        self.status = gr.Markdown("", latex_delimiters=[], elem_classes=["nj-quiet", "nj-status"])
        with gr.Tabs(elem_classes="nj-tabs"):
            with gr.Tab(texts.TAB_DOCUMENTS):
                with gr.Column(elem_classes="nj-documents") as self.list_box:
                    self.documents = DocumentList(opening, self.status)
                    self._make_folder_removal()
                with gr.Column(visible=False, elem_classes="nj-reading") as self.preview_box:
                    self.preview = DocumentPreview(opening, self.status)
            with gr.Tab(texts.TAB_ADD) as self.add_tab:
                self.adding = AddDocuments(opening, self.status)
            with gr.Tab(texts.TAB_GAPS) as self.gaps_tab:
                gr.Markdown(texts.GAPS_HINT, elem_classes="nj-quiet")
                self.gaps = html_block()
        self.seen = gr.State(NOTHING)
        self.timer = gr.Timer(POLL_S)

    def _make_folder_removal(self) -> None:
        with gr.Accordion(texts.REMOVE_FOLDER, open=False, elem_classes="nj-folder") as self.folder_box:
            self.folder = gr.Textbox(
                label=texts.REMOVE_LABEL,
                placeholder=texts.REMOVE_PLACEHOLDER,
                lines=1,
                max_lines=1,
                max_length=4096,
                submit_btn=texts.REMOVE_WHAT,
                elem_classes="nj-look",
            )
            self.sure = RemoveRow(self._opening, self.status)

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        self.documents.listen()
        self.preview.listen()
        self.adding.listen()
        boxes = [self.list_box, self.preview_box, self.status]
        for index, row in enumerate(self.documents.rows):
            row.name.click(self._opener(index), [self.documents.view], [*boxes, *self.preview.outputs], **QUIET)
        back = [*boxes, *self.documents.outputs]
        self.preview.back.click(self.back, [self.documents.view], back, **QUIET)
        self.folder.submit(self.ask, [self.folder], self.sure.outputs, **QUIET)
        self.sure.listen().then(self.refresh, [self.documents.view], self.documents.outputs, **QUIET)
        self.preview.sure.listen().then(
            self.close_removed_document, [self.preview.reading, self.documents.view], back, **QUIET
        )
        self.gaps_tab.select(self.gather, None, [self.gaps, self.status], **QUIET)
        # A page that is loaded again has seen nothing: the same look shows it all.
        looked = [self.seen, *self.adding.shown, *self.documents.outputs, self.status]
        self.timer.tick(self.look, [self.seen, self.documents.view], looked, **QUIET)
        rights = [self.add_tab, self.folder_box]
        blocks.load(self.begin, None, [*rights, *boxes, *self.preview.outputs], **QUIET)

    def begin(self, request: gr.Request) -> Updates:
        """What the person may do is shown; and the document that the page's address names, with a passage marked."""
        person = current_user(request)
        is_administrator = person.may("administrator")
        updates: Updates = {
            self.add_tab: gr.update(visible=is_administrator),
            self.folder_box: gr.update(visible=is_administrator),
        }
        wanted = request.query_params or {}
        document_id, passage_id = wanted.get("document"), wanted.get("passage")
        if not document_id:
            return updates

        def opened(app: App) -> Updates:
            return self._reading() | self.preview.opened(app, document_id, person, passage_id)

        return updates | guarded_library_action(self._opening, self.status, opened)

    def look(self, seen: Seen, view: DocumentView, request: gr.Request) -> Updates:
        """What has changed since this page looked last."""
        if not self._opening.is_over():
            return {self.seen: seen}
        try:
            app = self._opening.app()
            person = current_user(request)
            jobs, shown = self.adding.look(app) if person.may("administrator") else ("", {})
            revision = (app.library.revision(), app.library.vectors_revision())
            updates: Updates = {self.seen: (jobs, revision)}
            if jobs != seen[0]:
                updates |= shown
            if revision != seen[1]:
                updates |= self.documents.shown(app, view, person)
        except NightjarError as error:
            return {self.status: escape_html(str(error)), self.seen: seen}
        return updates

    def _opener(self, place: int) -> Callable[..., Updates]:
        def open_row(view: DocumentView, request: gr.Request) -> Updates:
            def opened(app: App) -> Updates:
                found = self.preview.opened(app, view.ids[place], current_user(request))
                return self._reading() | found | {self.status: ""}

            return guarded_library_action(self._opening, self.status, opened)

        return open_row

    def _reading(self, yes: bool = True) -> Updates:
        """Shows one document in place of the list, or the list again."""
        return {self.list_box: gr.update(visible=not yes), self.preview_box: gr.update(visible=yes)}

    def back(self, view: DocumentView, request: gr.Request) -> Updates:
        """The list again, as it was left."""

        def listed(app: App) -> Updates:
            return self._reading(False) | self.documents.shown(app, view, current_user(request)) | {self.status: ""}

        return guarded_library_action(self._opening, self.status, listed)

    def ask(self, source: str | None, request: gr.Request) -> Updates:
        """Asks before a folder is removed."""
        return self.sure.ask(source, current_user(request))

    def refresh(self, view: DocumentView, request: gr.Request) -> Updates:
        """The list as it is now."""
        return self.documents.shown(self._opening.app(), view, current_user(request))

    def close_removed_document(self, reading: Any, view: DocumentView, request: gr.Request) -> Updates:
        """The list again, if the document that was read is gone."""
        app = self._opening.app()
        if reading.source in app.library.file_hashes():
            return {self.status: gr.skip()}
        return self._reading(False) | self.documents.shown(app, view, current_user(request))

    def gather(self, request: gr.Request) -> Updates:
        """Questions that found nothing, gathered; everybody's for an administrator, else one's own."""
        person = current_user(request)

        def gathered(app: App) -> Updates:
            own = "" if person.may("administrator") else f'<p class="nj-quiet">{texts.GAPS_OWN}</p>'
            return {self.gaps: own + render_gaps(list_gaps(app, person))}

        return guarded_library_action(self._opening, self.status, gathered)


def fill_documents_page(blocks: gr.Blocks, opening: AppStartup) -> None:
    """Makes the page inside *blocks*, which are open."""
    LibraryPage(opening).listen(blocks)
