"""The page of documents: what is on its way into the library, stage by stage, and what it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.assemble import App
from rag.errors import NightjarError
from rag.jobs import OVER
from ui.ingests import ask_for, check_removing
from ui.opening import Opening
from ui.person import person_of
from ui.web import texts
from ui.web.evidence import page_links, shown_html
from ui.web.render import escaped
from ui.web.render_documents import MAX_DOCUMENTS, MAX_FILES, documents_shown, jobs_shown, removed_told

log = logging.getLogger(__name__)

EVERY_S = 1.0  # between two looks at what runs
N_JOBS = 5  # that are shown
FEW_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 4, "concurrency_id": "documents"}
"""Every open page looks once a second, which must not take the room of those who chat."""
Updates = dict[Any, Any]
Seen = tuple[str, int]
"""What is shown of the ingests, and the state of the library that is shown."""


class DocumentsPage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        with gr.Row(elem_classes="nj-top"):
            gr.Markdown(f"# {texts.DOCUMENTS_TITLE}\n{texts.DOCUMENTS_TAGLINE}", elem_classes="nj-brand")
            page_links("documents")
        with gr.Row(elem_classes="nj-pick", equal_height=True):
            self.path = gr.Textbox(
                label=texts.PATH_LABEL, placeholder=texts.PATH_PLACEHOLDER, lines=1, max_lines=1, max_length=4096,
                submit_btn=texts.BRING_IN, scale=3, elem_classes="nj-look",
            )  # fmt: skip
            self.vanished = gr.Checkbox(label=texts.TAKE_OUT_VANISHED, value=False, scale=1)
            self.cancel = gr.Button(texts.CANCEL, size="sm", min_width=0, elem_classes="nj-page-link")
        self.status = gr.Markdown("", latex_delimiters=[], elem_classes="nj-quiet")
        self.jobs = shown_html()
        with gr.Row(elem_classes="nj-pick", equal_height=True):
            self.source = gr.Dropdown(
                label=texts.REMOVE_LABEL, choices=[], value=None, allow_custom_value=True, scale=3,
                elem_classes="nj-offered",
            )  # fmt: skip
            self.remove = gr.Button(texts.REMOVE, size="sm", min_width=0, elem_classes=["nj-page-link", "nj-remove"])
        self.documents = shown_html()
        self.seen = gr.State(("", -1))
        self.timer = gr.Timer(EVERY_S)

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"} | FEW_AT_A_TIME
        shown = [self.jobs, self.documents, self.source, self.seen]
        self.path.submit(self.bring_in, [self.path, self.vanished], [self.path, self.status], **quiet)
        self.cancel.click(self.cancel_first, None, [self.status], **quiet)
        self.remove.click(self.take_out, [self.source], [self.source, self.status], **quiet)
        # A page that is loaded anew has seen nothing: the same look shows it all.
        self.timer.tick(self.look, [self.seen], shown, **quiet)
        blocks.load(self.look, [self.seen], shown, **quiet)

    def look(self, seen: Seen, request: gr.Request) -> Updates:
        """What has changed since this page looked last."""
        if not self._opening.is_over():
            return {self.seen: seen}
        try:
            person_of(request).must("administrator")
            app = self._opening.app()
            jobs, revision = shown_jobs(app), app.library.revision()
        except NightjarError as error:
            return {self.jobs: escaped(str(error)), self.seen: seen}
        updates: Updates = {self.seen: (jobs, revision)}
        if jobs != seen[0]:
            updates[self.jobs] = jobs
        if revision != seen[1]:
            sources = app.library.sources()
            updates[self.documents] = documents_shown(sources)
            updates[self.source] = gr.update(choices=[one.source for one in sources[:MAX_DOCUMENTS]])
        return updates

    def bring_in(self, path: str | None, vanished: bool, request: gr.Request) -> Updates:
        """Begins an ingest."""
        if not (path or "").strip():
            return {self.status: texts.PATH_LABEL}
        assert path is not None
        wanted = path.strip()

        def begun(app: App) -> str:
            ask_for(app, [wanted], remove_vanished=vanished)
            return texts.ASKED_FOR

        told = self._told(begun, request)
        return {self.status: told, self.path: "" if told == texts.ASKED_FOR else path}

    def cancel_first(self, request: gr.Request) -> Updates:
        """Ends the ingest that runs, or the one that would be next."""
        return {self.status: self._told(_cancelled, request)}

    def take_out(self, source: str | None, request: gr.Request) -> Updates:
        """Removes a document, or all below a folder, and says what went with it."""
        if not source:
            return {self.status: texts.NAME_ONE}

        def removed(app: App) -> str:
            check_removing(app.settings.server.folders)
            return removed_told(app.removal.below(source))

        return {self.status: self._told(removed, request), self.source: None}

    def _told(self, act: Callable[[App], str], request: gr.Request) -> str:
        """What the act of an administrator says, or why it can't be."""
        try:
            person_of(request).must("administrator")
            return act(self._opening.app())
        except NightjarError as error:
            return escaped(str(error))
        except Exception:
            log.exception("the page of documents failed")
            return texts.FAILED


def shown_jobs(app: App) -> str:
    """The latest ingests with their files, as HTML."""
    return jobs_shown([(job, app.jobs.files(job.job_id, MAX_FILES)) for job in app.jobs.latest(N_JOBS)])


def _cancelled(app: App) -> str:
    going = [job for job in app.jobs.latest(100) if job.state not in OVER]
    if not going:
        return texts.NOTHING_RUNS
    app.jobs.cancel(min(going, key=lambda job: (job.state != "running", job.created_at)).job_id)
    return texts.CANCELLED


def fill_documents_page(blocks: gr.Blocks, opening: Opening) -> None:
    """Makes the page inside *blocks*, which are open."""
    DocumentsPage(opening).listen(blocks)
