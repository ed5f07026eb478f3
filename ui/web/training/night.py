"""Of the page of training: the night that runs or ran, whether the next one has enough, and starting one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ui.actions.training_admin import TrainingAdmin
from ui.auth.current_user import CurrentUser
from ui.texts import training as texts
from ui.web.chat.sources_panel import html_block
from ui.web.components.admin_only import guarded_for_administrator
from ui.web.components.handler_errors import Updates
from ui.web.training.render_night import (
    format_forecast,
    render_current_night,
    render_last_night,
    render_log,
    render_readiness,
)

POLL_S = 2.0  # between two looks at what runs


class NightSection:
    """The components and what happens to them. Made once, inside the tab that is open."""

    def __init__(self, room: TrainingAdmin) -> None:
        self._room = room
        self.status = gr.Markdown("", latex_delimiters=[], elem_classes=["nj-quiet", "nj-status"])
        self.night = html_block()
        self.outlook = html_block()
        with gr.Column(elem_classes="nj-begin"):
            self.tier = gr.Radio(texts.TIER_CHOICES, value="auto", label=texts.TIER_LABEL, elem_classes="nj-tier")
            self.told = gr.Markdown("", latex_delimiters=[], elem_classes="nj-quiet")
            with gr.Row(elem_classes="nj-acts"):
                self.train = gr.Button(texts.TRAIN, variant="primary", min_width=0, elem_classes="nj-act")
                self.cancel = gr.Button(texts.CANCEL, visible=False, min_width=0, elem_classes="nj-act")
        self.last = html_block()
        with gr.Accordion(texts.SAID.format(n=200), open=False):
            self.said = html_block()
        self.seen = gr.State("")
        self.round = gr.State("")
        """Changes with every night that begins or ends, and with every promotion."""
        self.timer = gr.Timer(POLL_S)

    @property
    def components(self) -> list[Any]:
        """What `look` updates."""
        return [self.status, self.night, self.last, self.said, self.train, self.cancel, self.seen, self.round]

    def listen(self, quiet: dict[str, Any]) -> None:
        """Connects the components with what happens."""
        self.timer.tick(self.look, [self.seen], self.components, **quiet)
        self.round.change(self.count, [self.tier], [self.status, self.outlook, self.told], **quiet)
        self.tier.change(self.forecast, [self.tier], [self.status, self.told], **quiet)
        self.train.click(self.begin, [self.tier], self.components, **quiet)
        self.cancel.click(self.end, None, self.components, **quiet)

    def look(self, seen: str, request: gr.Request) -> Updates:
        """What has changed since this page looked last."""
        if not self._room.opening.is_over():
            return {self.seen: gr.skip()}
        return guarded_for_administrator(request, self.status, lambda _person: self._look(seen))

    def count(self, tier: str, request: gr.Request) -> Iterator[Updates]:
        """Says that it counts, then whether there is enough for a night."""
        yield {self.outlook: f'<p class="nj-hint">{texts.COUNTING}</p>'}

        def counted(_person: CurrentUser) -> Updates:
            found = self._room.outlook()
            return {self.outlook: render_readiness(found), self.told: format_forecast(found.forecasts, tier)}

        yield guarded_for_administrator(request, self.status, counted)

    def forecast(self, tier: str, request: gr.Request) -> Updates:
        """What a night of this tier would do."""
        return guarded_for_administrator(
            request, self.status, lambda _person: {self.told: format_forecast(self._room.outlook().forecasts, tier)}
        )

    def begin(self, tier: str, request: gr.Request) -> Updates:
        """Begins a night, and looks."""

        def begun(_person: CurrentUser) -> Updates:
            pid = self._room.start(tier)
            return self._look("") | {self.status: texts.BEGUN.format(pid=pid)}

        return guarded_for_administrator(request, self.status, begun)

    def end(self, request: gr.Request) -> Updates:
        """Ends the night that runs, and looks."""

        def ended(_person: CurrentUser) -> Updates:
            was_there = self._room.opening.nights.cancel()
            return self._look("") | {self.status: texts.CANCELLED if was_there else texts.NONE_TO_CANCEL}

        return guarded_for_administrator(request, self.status, ended)

    def _look(self, seen: str) -> Updates:
        from retriever_training.versions.night_store import NightStore

        app, shift = self._room.opening.app(), self._room.opening.nights
        running = self._room.running()
        newest = NightStore(app.engine).newest(2)
        shown = render_current_night(running, shift.last_exit, shift.next_start_at)
        done = newest[1:2] if running is not None and newest and newest[0] == running.night else newest[:1]
        before, said = render_last_night(done[0] if done else None), render_log(shift.lines())
        if shown + before + said == seen:
            return {self.seen: gr.skip()}
        last = f"{newest[0].night_id} {newest[0].decision}" if newest else ""
        turn = f"{app.registry.latest_promotion().promotion_id} {last} {running is not None}"
        ours = running is not None and running.pid is not None
        return {
            self.night: shown,
            self.last: before,
            self.said: said,
            self.seen: shown + before + said,
            self.round: turn,
            self.train: gr.update(interactive=running is None),
            self.cancel: gr.update(visible=ours),
        }
