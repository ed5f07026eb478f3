"""The page that shows what each way of finding negatives finds for a question: what is kept, what is removed and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.answering.answerer import MAX_QUESTION_LENGTH, check_question
from rag.app.app import App
from rag.errors import NightjarError
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.html.environment import strip_control_characters
from ui.html.fragments import escape_html
from ui.texts import shared as texts
from ui.web.chat.sources_panel import html_block, page_links
from ui.web.components.sample_questions import sample_questions
from ui.web.training.render_negatives import FinderCandidates, render_negatives

log = logging.getLogger(__name__)

N_PER_FINDER = 5  # candidates of each way
MAX_OFFERED_QUESTIONS = 200  # judged questions in the list, those judged last first
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "negatives"}
"""Looking reads the whole library, so it must not take the room of those who chat; more wait in line."""
Updates = dict[Any, Any]


class NegativesPage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        with gr.Row(elem_classes="nj-top"):
            gr.Markdown(f"# {texts.NEGATIVES_TITLE}\n{texts.NEGATIVES_TAGLINE}", elem_classes="nj-brand")
            page_links("negatives")
        with gr.Row(elem_classes="nj-pick", equal_height=True):
            self.question = gr.Textbox(
                label=texts.ASK_LABEL,
                placeholder=texts.NEGATIVES_PLACEHOLDER,
                lines=1,
                max_lines=3,
                max_length=MAX_QUESTION_LENGTH,
                submit_btn=texts.LOOK,
                scale=3,
                elem_classes="nj-look",
            )
            self.offered = gr.Dropdown(
                label=texts.JUDGED_QUESTIONS, choices=[], value=None, visible=False, scale=2, elem_classes="nj-offered"
            )
        self.status = gr.Markdown(texts.NEGATIVES_BEGIN, latex_delimiters=[], elem_classes="nj-quiet")
        self.found = html_block()

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        looking: dict[str, Any] = {
            "outputs": [self.question, self.status, self.found],
            "api_visibility": "private",
            "show_progress": "hidden",
        } | ONE_AT_A_TIME
        self.question.submit(self.look, [self.question], **looking)
        self.offered.input(self.look, [self.offered], **looking)
        blocks.load(
            self.offer,
            None,
            [self.offered, self.status],
            api_visibility="private",
            show_progress="hidden",
            **ONE_AT_A_TIME,
        )

    def offer(self, request: gr.Request) -> Updates:
        """Questions to pick from: those that people judged, or headings of the library if there are none."""
        try:
            current_user(request).require_role("administrator")
            app = self._opening.app()
        except NightjarError as error:
            return {self.status: escape_html(str(error))}
        if not app.library.n_passages():
            return {self.status: texts.EMPTY_LIBRARY}
        judged = judged_questions(app)
        choices = judged or sample_questions(app.library)
        label = texts.JUDGED_QUESTIONS if judged else texts.SAMPLE_QUESTIONS
        return {self.offered: gr.update(choices=choices, label=label, visible=bool(choices))}

    def look(self, asked: str | None, request: gr.Request) -> Iterator[Updates]:
        """Says that it is looking, then shows what was found, or why nothing can be."""
        person = current_user(request)
        if not (asked or "").strip():
            return
        assert asked is not None
        looking = texts.LOOKING if self._opening.is_over() else texts.WAKING
        yield {self.question: asked, self.status: looking, self.found: ""}
        try:
            person.require_role("administrator")
            app = self._opening.app()
            shown = negatives_html(app, check_question(asked)) if app.library.n_passages() else ""
        except NightjarError as error:
            yield {self.status: escape_html(str(error))}
        except Exception:
            log.exception("looking at a question's negatives failed")
            yield {self.status: texts.FAILED}
        else:
            yield {self.status: "" if shown else texts.EMPTY_LIBRARY, self.found: shown}


def negatives_html(app: App, question: str) -> str:
    """What every way finds for *question*, as HTML."""
    from retriever_training.inspection.negatives_of_question import (
        mine_for_question,  # heavy: not while the page is made
    )

    told = mine_for_question(app.stores, question, N_PER_FINDER, encoder=app.active_retriever.retriever.encoder)
    public_ids = {passage["passage_id"] for passage in (*told["positives"], *told["candidates"])}
    of_public = app.library.resolve(public_ids)
    passages = app.library.get(list(of_public.values()))
    of = {public_id: passages[passage_id] for public_id, passage_id in of_public.items() if passage_id in passages}
    right = [of[positive["passage_id"]] for positive in told["positives"] if positive["passage_id"] in of]
    found = [
        FinderCandidates(
            way=candidate["source"],
            version=candidate["version"],
            rank=candidate["rank"],
            score=candidate["score"],
            margin=candidate["margin"],
            removed=candidate["removed"],
            passage=of[candidate["passage_id"]],
        )
        for candidate in told["candidates"]
        if candidate["passage_id"] in of
    ]
    return render_negatives(right, found)


def judged_questions(app: App, n: int = MAX_OFFERED_QUESTIONS) -> list[str]:
    """Up to *n* questions with a judgment that counts, those judged last first."""
    from retriever_training.judgments.snapshot import load_judgments
    from retriever_training.judgments.splits import normalise_question

    chosen = app.settings.feedback
    settled = load_judgments(
        app.stores,
        frozenset(app.active_retriever.lexical.passage_ids),
        trusted=chosen.trusted,
        max_per_person=chosen.max_judgments_per_person,
        quarantined=chosen.quarantined,
    )
    latest: dict[str, str] = {}
    for judgment in sorted(settled.judgments, key=lambda one: one.latest_at, reverse=True):
        latest.setdefault(normalise_question(judgment.question), strip_control_characters(judgment.question))
    return list(latest.values())[:n]


def fill_negatives_page(blocks: gr.Blocks, opening: AppStartup) -> None:
    """Makes the page inside *blocks*, which are open."""
    NegativesPage(opening).listen(blocks)
