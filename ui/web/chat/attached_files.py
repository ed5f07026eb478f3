"""Files dropped into the chat: on their way into the library stage by stage, and then the only ones that are asked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from rag.errors import NightjarError, UsageError
from rag.ingestion.ingest_jobs import OVER, Job
from ui.auth.current_user import Person
from ui.background.startup import Opening
from ui.background.uploads import keep_upload
from ui.texts import chat as said
from ui.web.chat.components import QUICK, acted, chip
from ui.web.chat.render_status import files_shown
from ui.web.chat.sources_panel import shown_html
from ui.web.components.handler_errors import Updates

MAX_FILES = 20  # at a time
EVERY_S = 0.5  # between two looks at what runs
PATIENCE_S = 300.0  # that a question waits for the files that came with it
Ids = tuple[str, ...]


class DroppedFiles:
    """The line of files above the box of questions; hidden where none was dropped."""

    def __init__(self, opening: Opening, source: gr.Textbox) -> None:
        """*source* is the box that says where to look."""
        self._opening = opening
        self._source = source
        self.job_ids = gr.State(())
        with gr.Column(visible=False, elem_classes="nj-dropped", min_width=0) as self.box:
            self.line = shown_html()
            with gr.Row(elem_classes="nj-votes"):
                self.only = chip("only-this")
        self.timer = gr.Timer(EVERY_S, active=False)

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        return [self.job_ids, self.box, self.line, self.only, self.timer]

    def listen(self) -> None:
        """Connects the components."""
        # In no queue: each open page looks, which must not take the room of those who ask.
        self.timer.tick(self.look, [self.job_ids], [*self.parts], **QUICK)
        self.only.click(self.look_only_there, [self.job_ids], [self._source, self.box], **QUICK)

    # ---- taking them

    def taken(self, files: Sequence[str], person: Person) -> tuple[Ids, list[str]]:
        """Jobs that bring in the files, given by where they were received, and why others are not taken.

        Raises:
            UsageError: there are too many.
        """
        if len(files) > MAX_FILES:
            raise UsageError(f"{len(files)} files at a time, at most {MAX_FILES} are taken: pack them into a .zip")
        job_ids, refused = [], []
        for file in files:
            try:
                job_ids.append(keep_upload(self._opening.app(), Path(file), Path(file).name, person).job_id)
            except NightjarError as error:
                refused.append(str(error))
        return tuple(job_ids), refused

    def waited(self, job_ids: Ids, refused: Sequence[str]) -> Iterator[tuple[Updates, bool]]:
        """What is shown, again and again until all are in or failed, and whether that is so."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            jobs = self._jobs(job_ids)
            over = all(job.state in OVER for job in jobs)
            yield self.shown(job_ids, jobs, refused), over
            if over or time.monotonic() > deadline:
                return
            time.sleep(EVERY_S)

    def sources(self, job_ids: Ids) -> tuple[str, ...]:
        """What the files are called in the library, of those that came in."""
        return tuple(path for job in self._jobs(job_ids) if _came_in(job) for path in job.asked.paths)

    # ---- showing them

    def hidden(self) -> Updates:
        """No files."""
        return {self.job_ids: (), self.box: gr.update(visible=False), self.timer: gr.Timer(active=False)}

    def shown(self, job_ids: Ids, jobs: Sequence[Job], refused: Sequence[str] = ()) -> Updates:
        """How far each file is; where one is in and nothing else is under way, the offer to ask only that."""
        app = self._opening.app()
        goes_on = any(job.state not in OVER for job in jobs)
        steps = [step for job in jobs for step in app.jobs.files(job.job_id, MAX_FILES)]
        came = [path for job in jobs if _came_in(job) for path in job.asked.paths]
        offer = said.ONLY_THIS.format(name=came[0].rpartition("/")[2]) if len(came) == 1 and not goes_on else ""
        return {
            self.job_ids: job_ids,
            self.box: gr.update(visible=bool(jobs or refused)),
            self.line: files_shown(jobs, steps, refused),
            self.only: gr.update(value=offer, visible=bool(offer)),
            self.timer: gr.Timer(active=goes_on),
        }

    def look(self, job_ids: Ids) -> Updates:
        """How far they are now."""
        return acted(lambda: self.shown(job_ids, self._jobs(job_ids)), self.line)

    def look_only_there(self, job_ids: Ids) -> Updates:
        """Has the next questions look only into the file."""
        sources = self.sources(job_ids)
        return {self._source: sources[0] if sources else "", self.box: gr.update(visible=False)}

    def _jobs(self, job_ids: Ids) -> list[Job]:
        return [self._opening.app().jobs.get(one) for one in job_ids]


def _came_in(job: Job) -> bool:
    return job.state == "done" and not job.files.get("refused")
