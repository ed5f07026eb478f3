"""The part of the Library page that brings documents in: uploads, folders, and how far each ingest is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from rag.app.app import App
from rag.errors import NightjarError
from rag.ingestion.ingest_jobs import FINAL_STATES
from ui.auth.current_user import current_user
from ui.background.ingest_queue import enqueue_ingest, enqueue_refused, latest_refused_job
from ui.background.startup import AppStartup
from ui.background.uploads import store_upload
from ui.html.fragments import escape_html
from ui.texts import library as own_texts
from ui.texts import shared as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.handler_errors import Updates
from ui.web.components.library_errors import QUIET, guarded_library_action
from ui.web.library.render_jobs import MAX_FILES, render_jobs

N_JOBS = 5  # that are shown


class AddDocuments:
    """The components. Made once, inside the Gradio container that is open."""

    def __init__(self, opening: AppStartup, status: gr.Markdown) -> None:
        self._opening = opening
        self._status = status
        with gr.Column(elem_classes="nj-add") as self.box:
            self.files = gr.File(
                label=own_texts.UPLOAD_LABEL, file_count="multiple", height=130, elem_classes="nj-upload"
            )
            with gr.Row(elem_classes="nj-pick", equal_height=True):
                self.path = gr.Textbox(
                    label=own_texts.PATH_LABEL,
                    placeholder=texts.PATH_PLACEHOLDER,
                    lines=1,
                    max_lines=1,
                    max_length=4096,
                    submit_btn=texts.BRING_IN,
                    scale=3,
                    elem_classes=["nj-look", "nj-path"],
                )
                self.vanished = gr.Checkbox(label=texts.TAKE_OUT_VANISHED, value=False, scale=1)
        with gr.Row(elem_classes="nj-votes"):
            self.again = _button(own_texts.TRY_AGAIN, "nj-again")
            self.cancel = _button(texts.CANCEL, "nj-cancel")
        self.jobs = html_block()

    @property
    def shown(self) -> list[Any]:
        """What `look` updates."""
        return [self.jobs, self.again, self.cancel]

    def listen(self) -> None:
        """Connects the components with what happens."""
        self.files.upload(self.upload, [self.files], [self.files, self._status], **QUIET)
        self.path.submit(self.ingest_path, [self.path, self.vanished], [self.path, self._status], **QUIET)
        self.again.click(self.retry_refused, None, [self._status], **QUIET)
        self.cancel.click(self.cancel_running, None, [self._status], **QUIET)

    def look(self, app: App) -> tuple[str, Updates]:
        """The latest ingests as HTML, and what shows them."""
        latest = app.jobs.latest(N_JOBS)
        html = render_jobs([(job, app.jobs.files(job.job_id, MAX_FILES)) for job in latest])
        return html, {
            self.jobs: html,
            self.again: gr.update(visible=latest_refused_job(app, N_JOBS) is not None),
            self.cancel: gr.update(visible=any(job.state not in FINAL_STATES for job in latest)),
        }

    def upload(self, files: list[str] | None, request: gr.Request) -> Updates:
        """Keeps what was sent, and begins an ingest for each; what is not taken is told with its reason."""
        person = current_user(request)

        def taken(app: App) -> Updates:
            told, n_taken = [], 0
            for file in map(Path, files or []):
                try:
                    store_upload(app, file, file.name, person)
                    n_taken += 1
                except NightjarError as error:
                    told.append(own_texts.REFUSED_UPLOAD.format(reason=escape_html(str(error))))
            told = (
                [own_texts.UPLOADED.format(files=own_texts.counted(n_taken, own_texts.A_FILE)), *told]
                if n_taken
                else told
            )
            return {self._status: "<br>".join(told), self.files: None}

        return guarded_library_action(self._opening, self._status, taken)

    def ingest_path(self, path: str | None, vanished: bool, request: gr.Request) -> Updates:
        """Begins an ingest of a file or folder of this machine."""

        def begun(app: App) -> Updates:
            current_user(request).require_role("administrator")
            wanted = (path or "").strip()
            if not wanted:
                return {self._status: own_texts.PATH_LABEL}
            enqueue_ingest(app, [wanted], remove_vanished=vanished)
            return {self._status: texts.ASKED_FOR, self.path: ""}

        return guarded_library_action(self._opening, self._status, begun)

    def retry_refused(self, request: gr.Request) -> Updates:
        """Begins an ingest of the files that the latest ingest with refused ones refused."""

        def begun(app: App) -> Updates:
            current_user(request).require_role("administrator")
            refused = latest_refused_job(app, N_JOBS)
            if refused is None:
                return {self._status: own_texts.NOTHING_REFUSED}
            n = len(enqueue_refused(app, *refused).asked.paths)
            return {self._status: own_texts.TRIED_AGAIN.format(files=own_texts.counted(n, own_texts.A_FILE))}

        return guarded_library_action(self._opening, self._status, begun)

    def cancel_running(self, request: gr.Request) -> Updates:
        """Ends the ingest that runs, or the one that would be next."""

        def cancelled(app: App) -> Updates:
            current_user(request).require_role("administrator")
            going = [job for job in app.jobs.latest(100) if job.state not in FINAL_STATES]
            if not going:
                return {self._status: texts.NOTHING_RUNS}
            app.jobs.cancel(min(going, key=lambda job: (job.state != "running", job.created_at)).job_id)
            return {self._status: texts.CANCELLED}

        return guarded_library_action(self._opening, self._status, cancelled)


def _button(label: str, name: str) -> gr.Button:
    return gr.Button(label, size="sm", min_width=0, visible=False, elem_classes=["nj-vote", name])
