"""Of the page of training: the plot of the nights, the timeline of the versions, and letting another one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from rag.insights.version_disk_usage import freeable_sides
from ui.actions.compare import version_full_names
from ui.actions.training_admin import TrainingAdmin, process_memory_bytes
from ui.auth.current_user import CurrentUser
from ui.html.fragments import escape_html
from ui.texts import training as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.admin_only import guarded_for_administrator
from ui.web.components.handler_errors import Updates
from ui.web.training.render_night import format_moment
from ui.web.training.render_versions import format_size, render_gain_plot, render_timeline


class VersionsSection:
    """The components and what happens to them. Made once, inside the tab that is open."""

    def __init__(self, room: TrainingAdmin) -> None:
        self._room = room
        self.plot = html_block()
        self.timeline = html_block()
        with gr.Column(elem_classes="nj-change"):
            gr.Markdown(f"### {texts.ANSWER_TITLE}")
            with gr.Row(elem_classes="nj-pick", equal_height=True):
                self.which = gr.Dropdown([], value=None, label=texts.WHICH, scale=2, elem_classes="nj-offered")
                self.typed = gr.Textbox(
                    label=texts.TYPE_IT, lines=1, max_lines=1, max_length=40, scale=1, elem_classes="nj-look"
                )
                self.why = gr.Textbox(
                    label=texts.REASON, lines=1, max_lines=1, max_length=500, scale=2, elem_classes="nj-look"
                )
            with gr.Row(elem_classes="nj-acts"):
                self.change = gr.Button(texts.CHANGE, min_width=0, elem_classes="nj-act")
        self.status = gr.Markdown("", latex_delimiters=[], elem_classes=["nj-quiet", "nj-status"])
        with gr.Column(elem_classes="nj-change"):
            gr.Markdown(f"### {texts.FREE_TITLE}")
            self.free_told = gr.Markdown("", latex_delimiters=[], elem_classes="nj-quiet")
            with gr.Row(elem_classes="nj-acts"):
                self.free = gr.Button(texts.FREE, visible=False, min_width=0, elem_classes="nj-act")

    @property
    def components(self) -> list[Any]:
        """What `look` updates."""
        return [self.status, self.plot, self.timeline, self.which, self.typed, self.why, self.free_told, self.free]

    def listen(self, quiet: dict[str, Any]) -> None:
        """Connects the components with what happens."""
        self.change.click(self.activate, [self.which, self.typed, self.why], self.components, **quiet)
        self.free.click(self.free_vectors, None, self.components, **quiet)

    def look(self, request: gr.Request) -> Updates:
        """Everything as it is now."""
        return guarded_for_administrator(request, self.status, lambda _person: self._look())

    def activate(self, which: str | None, typed: str, why: str, request: gr.Request) -> Updates:
        """Promotes a version, or rolls back where it is the previous one."""

        def changed(person: CurrentUser) -> Updates:
            if not which:
                return {self.status: texts.CHOOSE_ONE}
            against = self._room.refusal(which)
            is_back = which == self._room.opening.app().registry.version_before_current()
            version = (
                self._room.roll_back(typed, why, person) if is_back else self._room.promote(which, typed, why, person)
            )
            told = texts.CHANGED.format(name=version_full_names(self._room.opening.app())[version.encoder_id])
            told += f" {escape_html(texts.OVERRULED)}" if against else ""
            return self._look() | {self.status: told, self.typed: "", self.why: ""}

        return guarded_for_administrator(request, self.status, changed)

    def free_vectors(self, request: gr.Request) -> Updates:
        """Frees the vectors of versions far back."""

        def freed(_person: CurrentUser) -> Updates:
            done = self._room.free()
            return self._look() | {
                self.status: texts.FREED.format(size=format_size(done.n_bytes), n_vectors=done.n_vectors)
            }

        return guarded_for_administrator(request, self.status, freed)

    def _look(self) -> Updates:
        from retriever_training.versions.night_store import NightStore
        from retriever_training.versions.timeline import version_timeline

        app = self._room.opening.app()
        entries, names = version_timeline(app.stores), version_full_names(app)
        held = {entry.version.passage_side for entry in entries if entry.space.n_vectors or entry.space.index}
        n_free = len(held.intersection(freeable_sides(app.registry)))
        return {
            self.plot: render_gain_plot(NightStore(app.engine).newest()),
            self.timeline: render_timeline(entries, names, process_memory_bytes()),
            self.which: gr.update(choices=_choices(entries, names), value=None),
            self.free_told: texts.FREE_TOLD.format(n=n_free) if n_free else texts.FREE_NOTHING,
            self.free: gr.update(visible=bool(n_free)),
        }


def _choices(entries: Any, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """The versions that may be made to answer, the previous one first, by what they are called."""
    there = [entry for entry in entries if entry.has_files and entry.standing != "current"]
    return [
        (
            texts.ROLL_BACK_TO.format(name=names[entry.version.encoder_id])
            if entry.standing == "previous"
            else (texts.PROMOTE_REFUSED if entry.standing == "refused" else texts.PROMOTE_TO).format(
                name=names[entry.version.encoder_id],
                standing=texts.STANDINGS[entry.standing],
                tier=texts.TIERS.get(entry.version.tier, ""),
                at=format_moment(entry.version.created_at),
            ),
            entry.version.encoder_id,
        )
        for entry in sorted(there, key=lambda entry: entry.standing != "previous")
    ]
