"""Of the page of training: doubtful negatives, one at a time, and the reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from ui.actions.training_admin import TrainingAdmin
from ui.api.routes.reports import list_reports
from ui.auth.current_user import CurrentUser
from ui.texts import training as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.admin_only import guarded_for_administrator
from ui.web.components.handler_errors import Updates
from ui.web.training.render_versions import render_reports, render_review

Pair = tuple[str, str]
"""Question and passage id of the doubt that is shown."""
BUTTONS = {"negative": texts.RIGHT_NEGATIVE, "not_negative": texts.NOT_NEGATIVE, "skip": texts.SKIP}


class ReviewsSection:
    """The components and what happens to them. Made once, inside the tab that is open."""

    def __init__(self, room: TrainingAdmin) -> None:
        self._room = room
        gr.Markdown(texts.REVIEW_INTRO, elem_classes="nj-intro")
        self.status = gr.Markdown("", latex_delimiters=[], elem_classes=["nj-quiet", "nj-status"])
        self.doubt = html_block()
        with gr.Row(elem_classes=["nj-acts", "nj-decide"]):
            self.buttons = {
                decision: gr.Button(name, visible=False, min_width=0, elem_classes=["nj-act", f"nj-{decision}"])
                for decision, name in BUTTONS.items()
            }
            gr.Button(texts.NEGATIVES_LINK, link="negatives", size="sm", min_width=0, elem_classes="nj-page-link")
        self.shown = gr.State(("", ""))

    @property
    def components(self) -> list[Any]:
        """What `look` updates."""
        return [self.status, self.doubt, self.shown, *self.buttons.values()]

    def listen(self, quiet: dict[str, Any]) -> None:
        """Connects the components with what happens."""
        for decision, button in self.buttons.items():
            button.click(self._deciding(decision), [self.shown], self.components, **quiet)

    def look(self, request: gr.Request) -> Iterator[Updates]:
        """Says that it looks, then shows the first doubt."""
        yield {self.status: texts.REVIEW_LOOKING}
        yield guarded_for_administrator(request, self.status, lambda _person: self._look())

    def decide(self, decision: str, shown: Pair, request: gr.Request) -> Updates:
        """Keeps the decision on what is shown, and shows the next doubt."""

        def decided(person: CurrentUser) -> Updates:
            self._room.decide_review(*shown, decision, person)
            updates = self._look()
            return updates | {self.status: f"{texts.DECIDED[decision]} {updates[self.status]}"}

        return guarded_for_administrator(request, self.status, decided)

    def _deciding(self, decision: str) -> Callable[[Pair, gr.Request], Updates]:
        """`decide` for one button; Gradio 6.31 sees no request in a `partial`."""

        def decide(shown: Pair, request: gr.Request) -> Updates:
            return self.decide(decision, shown, request)

        return decide

    def _look(self) -> Updates:
        doubts = self._room.doubtful_negatives()
        there = {button: gr.update(visible=bool(doubts)) for button in self.buttons.values()}
        if not doubts:
            return {self.status: texts.REVIEW_NONE, self.doubt: "", self.shown: ("", "")} | there
        first = doubts[0]
        passages = self._room.opening.app().library.get([first.passage_id, *first.right])
        return {
            self.status: texts.REVIEW_COUNT.format(n=len(doubts)),
            self.doubt: render_review(first, passages),
            self.shown: (first.question, first.passage_id),
        } | there


class ReportsSection:
    """The index of reports. Made once, inside the tab that is open."""

    def __init__(self, room: TrainingAdmin) -> None:
        self._room = room
        self.status = gr.Markdown("", latex_delimiters=[], elem_classes=["nj-quiet", "nj-status"])
        self.reports = html_block()

    def look(self, request: gr.Request) -> Updates:
        """The reports that there are."""

        def listed(_person: CurrentUser) -> Updates:
            return {self.reports: render_reports(list_reports(self._room.opening.app().settings.data))}

        return guarded_for_administrator(request, self.status, listed)
