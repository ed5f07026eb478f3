"""The page of training, for administrators: nights, versions, doubtful negatives and reports."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.actions.training_admin import TrainingAdmin
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.html.fragments import escape_html
from ui.texts import shared as texts
from ui.texts import training as ours
from ui.web.chat.sources_panel import page_links
from ui.web.training.night import NightSection
from ui.web.training.reviews import ReportsSection, ReviewsSection
from ui.web.training.versions import VersionsSection

FEW_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 4, "concurrency_id": "training"}
"""Every open page looks every two seconds, which must not take the room of those who chat."""
Updates = dict[Any, Any]


class TrainingPage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: AppStartup) -> None:
        room = TrainingAdmin(opening)
        with gr.Row(elem_classes="nj-top"):
            gr.Markdown(f"# {texts.TRAINING_TITLE}\n{texts.TRAINING_TAGLINE}", elem_classes="nj-brand")
            page_links("training")
        self.refusal = gr.Markdown("", visible=False, latex_delimiters=[])
        with gr.Column(visible=False) as self.body, gr.Tabs(elem_classes="nj-tabs"):
            with gr.Tab(ours.NIGHT):
                self.night = NightSection(room)
            with gr.Tab(ours.VERSIONS):
                self.versions = VersionsSection(room)
            with gr.Tab(ours.REVIEWS) as self.reviews_tab:
                self.reviews = ReviewsSection(room)
            with gr.Tab(ours.REPORTS) as self.reports_tab:
                self.reports = ReportsSection(room)

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"} | FEW_AT_A_TIME
        night, versions, reports = self.night, self.versions, self.reports
        for part in (night, versions, self.reviews):
            part.listen(quiet)
        blocks.load(self.admit, None, [self.refusal, self.body], **quiet)
        blocks.load(night.look, [night.seen], night.components, **quiet)
        night.round.change(versions.look, None, versions.components, **quiet)
        self.reviews_tab.select(self.reviews.look, None, self.reviews.components, **quiet)
        self.reports_tab.select(reports.look, None, [reports.status, reports.reports], **quiet)

    def admit(self, request: gr.Request) -> Updates:
        """Shows the page to administrators, and a sentence to others."""
        person = current_user(request)
        if person.may("administrator"):
            return {self.refusal: gr.update(visible=False), self.body: gr.update(visible=True)}
        told = escape_html(ours.NOT_YOURS.format(name=person.name, role=person.role))
        return {self.refusal: gr.update(value=told, visible=True), self.body: gr.update(visible=False)}


def fill_training_page(blocks: gr.Blocks, opening: AppStartup) -> None:
    """Makes the page inside *blocks*, which are open."""
    TrainingPage(opening).listen(blocks)
