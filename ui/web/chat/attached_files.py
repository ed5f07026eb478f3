"""Files dropped into the chat: on their way into the library stage by stage, and then the only ones that are asked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from rag.errors import NightjarError, UsageError
from rag.ingestion.ingest_jobs import FINAL_STATES, IngestJob
from ui.auth.current_user import CurrentUser
from ui.background.startup import AppStartup
from ui.background.uploads import store_upload
from ui.texts import chat as said
from ui.web.chat.components import QUICK, chip, guarded
from ui.web.chat.render_status import render_attached_files
from ui.web.chat.sources_panel import html_block
from ui.web.components.handler_errors import Updates

MAX_FILES = 20  # at a time
POLL_S = 0.5  # between two looks at what runs
MAX_WAIT_S = 300.0  # that a question waits for the files that came with it
Ids = tuple[str, ...]


class AttachedFiles:
    """The line of files above the box of questions; hidden if none was dropped."""

    def __init__(self, opening: AppStartup, source: gr.Textbox) -> None:
        """*source* is the box that says where to look."""
        self._opening = opening
        self._source = source
        self.job_ids = gr.State(())
        with gr.Column(visible=False, elem_classes="nj-dropped", min_width=0) as self.box:
            self.line = html_block()
            with gr.Row(elem_classes="nj-votes"):
                self.only = chip("only-this")
        self.timer = gr.Timer(POLL_S, active=False)

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        return [self.job_ids, self.box, self.line, self.only, self.timer]

    def listen(self) -> None:
        """Connects the components."""
        # In no queue: each open page looks, which must not take the room of those who ask.
        self.timer.tick(self.look, [self.job_ids], [*self.parts], **QUICK)
        self.only.click(self.limit_search_to_file, [self.job_ids], [self._source, self.box], **QUICK)

    # ---- taking them

    def accept(self, files: Sequence[str], person: CurrentUser) -> tuple[Ids, list[str]]:
        """Jobs that bring in the files, given by where they were received, and why others are not taken.

        Raises:
            UsageError: there are too many.
        """
        if len(files) > MAX_FILES:
            raise UsageError(f"{len(files)} files at a time, at most {MAX_FILES} are taken: pack them into a .zip")
        job_ids, refused = [], []
        for file in files:
            try:
                job_ids.append(store_upload(self._opening.app(), Path(file), Path(file).name, person).job_id)
            except NightjarError as error:
                refused.append(str(error))
        return tuple(job_ids), refused

    def wait_until_ingested(self, job_ids: Ids, refused: Sequence[str]) -> Iterator[tuple[Updates, bool]]:
        """What is shown, again and again until all are in or failed, and whether that is so."""
        deadline = time.monotonic() + MAX_WAIT_S
        while True:
            jobs = self._jobs(job_ids)
            over = all(job.state in FINAL_STATES for job in jobs)
            yield self.shown(job_ids, jobs, refused), over
            if over or time.monotonic() > deadline:
                return
            time.sleep(POLL_S)

    def sources(self, job_ids: Ids) -> tuple[str, ...]:
        """What the files are called in the library, of those that came in."""
        return tuple(path for job in self._jobs(job_ids) if _came_in(job) for path in job.asked.paths)

    # ---- showing them

    def hidden(self) -> Updates:
        """No files."""
        return {self.job_ids: (), self.box: gr.update(visible=False), self.timer: gr.Timer(active=False)}

    def shown(self, job_ids: Ids, jobs: Sequence[IngestJob], refused: Sequence[str] = ()) -> Updates:
        """How far each file is; if one is in and nothing else is under way, the offer to ask only that."""
        app = self._opening.app()
        goes_on = any(job.state not in FINAL_STATES for job in jobs)
        steps = [step for job in jobs for step in app.jobs.files(job.job_id, MAX_FILES)]
        came = [path for job in jobs if _came_in(job) for path in job.asked.paths]
        offer = said.ONLY_THIS.format(name=came[0].rpartition("/")[2]) if len(came) == 1 and not goes_on else ""
        return {
            self.job_ids: job_ids,
            self.box: gr.update(visible=bool(jobs or refused)),
            self.line: render_attached_files(jobs, steps, refused),
            self.only: gr.update(value=offer, visible=bool(offer)),
            self.timer: gr.Timer(active=goes_on),
        }

    def look(self, job_ids: Ids) -> Updates:
        """How far they are now."""
        return guarded(lambda: self.shown(job_ids, self._jobs(job_ids)), self.line)

    def limit_search_to_file(self, job_ids: Ids) -> Updates:
        """Has the next questions look only into the file."""
        sources = self.sources(job_ids)
        return {self._source: sources[0] if sources else "", self.box: gr.update(visible=False)}

    def _jobs(self, job_ids: Ids) -> list[IngestJob]:
        return [self._opening.app().jobs.get(job_id) for job_id in job_ids]


def _came_in(job: IngestJob) -> bool:
    return job.state == "done" and not job.files.get("refused")
