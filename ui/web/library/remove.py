"""The row that asks before documents are removed: it says what would go, and wants a name typed for more than one."""

from __future__ import annotations

from typing import Any

import gradio as gr

from rag.app.app import App
from ui.actions.remove_documents import remove_documents, uploaded_copies
from ui.auth.current_user import CurrentUser, current_user
from ui.background.ingest_queue import check_removal_allowed
from ui.background.startup import AppStartup
from ui.html.fragments import escape_html
from ui.texts import library as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.handler_errors import Updates
from ui.web.components.library_errors import QUIET, guarded_library_action
from ui.web.library.render_jobs import format_removed
from ui.web.library.render_list import format_removal_preview


class RemoveRow:
    """Hidden until somebody asks what a removal would take. Made once, inside the Gradio container that is open."""

    def __init__(self, opening: AppStartup, status: gr.Markdown) -> None:
        self._opening = opening
        self._status = status
        self.source = gr.State("")
        with gr.Column(visible=False, elem_classes=["nj-card", "nj-removal"]) as self.box:
            self.told = html_block()
            self.typed = gr.Textbox(label=texts.TYPE_NAME, lines=1, max_lines=1, max_length=4096, visible=False)
            with gr.Row(elem_classes="nj-votes"):
                self.remove = gr.Button(texts.DO_REMOVE, size="sm", min_width=0, elem_classes=["nj-vote", "nj-remove"])
                self.keep = gr.Button(texts.KEEP, size="sm", min_width=0, elem_classes=["nj-vote", "nj-keep"])

    @property
    def outputs(self) -> list[Any]:
        """What its handlers update."""
        return [self.source, self.box, self.told, self.typed, self._status]

    def listen(self) -> Any:
        """Connects the components; returns what happens after a removal, for others to follow."""
        self.keep.click(self.leave, None, self.outputs, **QUIET)
        return self.remove.click(self.go, [self.source, self.typed], self.outputs, **QUIET)

    def ask(self, source: str | None, person: CurrentUser) -> Updates:
        """Says what would go with *source*, and asks."""

        named = (source or "").strip()

        def asked(app: App) -> Updates:
            person.require_role("administrator")
            check_removal_allowed(app.settings.server.folders)
            would_go = app.removal.preview(named)
            return {
                self.source: named,
                self.box: gr.update(visible=True),
                self.told: format_removal_preview(named, would_go, n_copies=len(uploaded_copies(app, named))),
                self.typed: gr.update(value="", visible=would_go.n_documents > 1),
                self._status: "",
            }

        return guarded_library_action(self._opening, self._status, asked)

    def go(self, source: str, typed: str | None, request: gr.Request) -> Updates:
        """Removes what was asked about, if the name is typed that more than one document needs."""

        def gone(app: App) -> Updates:
            current_user(request).require_role("administrator")
            check_removal_allowed(app.settings.server.folders)
            n = app.removal.preview(source).n_documents
            if n > 1 and (typed or "").strip() != source:
                return {self._status: texts.TYPED_WRONG.format(source=escape_html(source), n=n)}
            return self._closed(format_removed(remove_documents(app, source)))

        return guarded_library_action(self._opening, self._status, gone)

    def leave(self) -> Updates:
        """Removes nothing."""
        return self._closed(texts.KEPT)

    def _closed(self, told: str) -> Updates:
        return {self.source: "", self.box: gr.update(visible=False), self._status: told}
