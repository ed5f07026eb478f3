"""The part of the Library page that brings documents in: uploads, folders, and how far each ingest is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from rag.app.app import App
from rag.errors import NightjarError
from rag.ingestion.ingest_jobs import OVER
from ui.auth.current_user import person_of
from ui.background.ingest_queue import ask_again, ask_for, refused_last
from ui.background.startup import Opening
from ui.background.uploads import keep_upload
from ui.texts import library as own_texts
from ui.texts import shared as texts
from ui.web.chat.sources_panel import shown_html
from ui.web.components.escape import escaped
from ui.web.components.handler_errors import Updates
from ui.web.components.library_errors import QUIET, acted
from ui.web.library.render_jobs import MAX_FILES, jobs_shown

N_JOBS = 5  # that are shown


class BringIn:
    """The components. Made once, inside the Gradio container that is open."""

    def __init__(self, opening: Opening, status: gr.Markdown) -> None:
        self._opening = opening
        self._status = status
        with gr.Column(elem_classes="nj-add") as self.box:
            self.files = gr.File(
                label=own_texts.UPLOAD_LABEL, file_count="multiple", height=130, elem_classes="nj-upload"
            )
            with gr.Row(elem_classes="nj-pick", equal_height=True):
                self.path = gr.Textbox(
                    label=own_texts.PATH_LABEL, placeholder=texts.PATH_PLACEHOLDER, lines=1, max_lines=1,
                    max_length=4096, submit_btn=texts.BRING_IN, scale=3, elem_classes=["nj-look", "nj-path"],
                )  # fmt: skip
                self.vanished = gr.Checkbox(label=texts.TAKE_OUT_VANISHED, value=False, scale=1)
        with gr.Row(elem_classes="nj-votes"):
            self.again = _button(own_texts.TRY_AGAIN, "nj-again")
            self.cancel = _button(texts.CANCEL, "nj-cancel")
        self.jobs = shown_html()

    @property
    def shown(self) -> list[Any]:
        """What `look` updates."""
        return [self.jobs, self.again, self.cancel]

    def listen(self) -> None:
        """Connects the components with what happens."""
        self.files.upload(self.upload, [self.files], [self.files, self._status], **QUIET)
        self.path.submit(self.bring_in, [self.path, self.vanished], [self.path, self._status], **QUIET)
        self.again.click(self.try_again, None, [self._status], **QUIET)
        self.cancel.click(self.cancel_first, None, [self._status], **QUIET)

    def look(self, app: App) -> tuple[str, Updates]:
        """The latest ingests as HTML, and what shows them."""
        latest = app.jobs.latest(N_JOBS)
        html = jobs_shown([(job, app.jobs.files(job.job_id, MAX_FILES)) for job in latest])
        return html, {
            self.jobs: html,
            self.again: gr.update(visible=refused_last(app, N_JOBS) is not None),
            self.cancel: gr.update(visible=any(job.state not in OVER for job in latest)),
        }

    def upload(self, files: list[str] | None, request: gr.Request) -> Updates:
        """Keeps what was sent, and begins an ingest for each; what is not taken is told with its reason."""
        person = person_of(request)

        def taken(app: App) -> Updates:
            told, n_taken = [], 0
            for file in map(Path, files or []):
                try:
                    keep_upload(app, file, file.name, person)
                    n_taken += 1
                except NightjarError as error:
                    told.append(own_texts.REFUSED_UPLOAD.format(reason=escaped(str(error))))
            told = (
                [own_texts.UPLOADED.format(files=own_texts.counted(n_taken, own_texts.A_FILE)), *told]
                if n_taken
                else told
            )
            return {self._status: "<br>".join(told), self.files: None}

        return acted(self._opening, self._status, taken)

    def bring_in(self, path: str | None, vanished: bool, request: gr.Request) -> Updates:
        """Begins an ingest of a file or folder of this machine."""

        def begun(app: App) -> Updates:
            person_of(request).must("administrator")
            wanted = (path or "").strip()
            if not wanted:
                return {self._status: own_texts.PATH_LABEL}
            ask_for(app, [wanted], remove_vanished=vanished)
            return {self._status: texts.ASKED_FOR, self.path: ""}

        return acted(self._opening, self._status, begun)

    def try_again(self, request: gr.Request) -> Updates:
        """Begins an ingest of the files that the latest ingest with refused ones refused."""

        def begun(app: App) -> Updates:
            person_of(request).must("administrator")
            refused = refused_last(app, N_JOBS)
            if refused is None:
                return {self._status: own_texts.NOTHING_REFUSED}
            n = len(ask_again(app, *refused).asked.paths)
            return {self._status: own_texts.TRIED_AGAIN.format(files=own_texts.counted(n, own_texts.A_FILE))}

        return acted(self._opening, self._status, begun)

    def cancel_first(self, request: gr.Request) -> Updates:
        """Ends the ingest that runs, or the one that would be next."""

        def cancelled(app: App) -> Updates:
            person_of(request).must("administrator")
            going = [job for job in app.jobs.latest(100) if job.state not in OVER]
            if not going:
                return {self._status: texts.NOTHING_RUNS}
            app.jobs.cancel(min(going, key=lambda job: (job.state != "running", job.created_at)).job_id)
            return {self._status: texts.CANCELLED}

        return acted(self._opening, self._status, cancelled)


def _button(label: str, name: str) -> gr.Button:
    return gr.Button(label, size="sm", min_width=0, visible=False, elem_classes=["nj-vote", name])
