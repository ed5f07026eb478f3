"""The page of insights: what votes did, how the answers do, and two versions side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from rag.errors import NightjarError
from rag.insights.usage_over_time import SPANS_DAYS, to_span
from ui.actions.compare import version_full_names
from ui.actions.vote_effects import DEFAULT_N_VOTES, MAX_N_VOTES, VoteEffectsSummary, VoteEffectsView
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.background.usage_cache import UsageCache
from ui.html.fragments import escape_html
from ui.texts import insights as words
from ui.texts import shared as texts
from ui.web.chat.sources_panel import html_block, page_links
from ui.web.components.stream_updates import stream_updates
from ui.web.insights.compare_tab import CompareTab
from ui.web.insights.render import render_usage, render_votes

log = logging.getLogger(__name__)

Updates = dict[Any, Any]
ONE_AT_A_TIME: dict[str, Any] = {
    "concurrency_limit": 1,
    "concurrency_id": "insights",
    "api_visibility": "private",
    "show_progress": "hidden",
}
"""Looking searches and counts, so it must not take the room of those who chat; more wait in line."""
DEFAULT_DAYS = 30


class VotesTab:
    """What votes did."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        self._view: VoteEffectsView | None = None
        self.whose = gr.Radio(
            choices=[(words.MINE, "mine"), (words.ALL, "all")],
            value="all",
            label=words.WHOSE,
            visible=False,
            elem_classes="nj-whose",
        )
        self.status = gr.Markdown(words.WAKING, latex_delimiters=[], elem_classes="nj-quiet")
        self.found = html_block()
        self.further = gr.Button(visible=False, size="sm", min_width=0, elem_classes="nj-further")
        self.n = gr.State(DEFAULT_N_VOTES)

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        shown = [self.whose, self.status, self.found, self.further, self.n]
        blocks.load(self.look, [self.whose, self.n], shown, **ONE_AT_A_TIME)
        self.whose.input(self.look, [self.whose, self.n], shown, **ONE_AT_A_TIME)
        self.further.click(self.show_more_votes, [self.whose, self.n], shown, **ONE_AT_A_TIME)

    def show_more_votes(self, whose: str, n: int, request: gr.Request) -> Iterator[Updates]:
        """Looks at some more votes."""
        yield from self.look(whose, min(n + DEFAULT_N_VOTES, MAX_N_VOTES), request)

    def look(self, whose: str, n: int, request: gr.Request) -> Iterator[Updates]:
        """Says how far it has looked, then shows what it found. What others said is for administrators."""
        person = current_user(request)
        may_see_all = person.may("administrator")
        mine = whose == "mine" or not may_see_all
        yield {self.whose: gr.update(visible=may_see_all), self.n: n}

        def work(show: Callable[[Updates], None]) -> Updates:
            app = self._opening.app()
            self._view = self._view or VoteEffectsView(app)
            at_once = app.settings.retrieval.until_tonight

            def shown(summary: VoteEffectsSummary) -> Updates:
                return self._shown(summary, version_full_names(app), mine=mine, at_once=at_once)

            return shown(
                self._view.look(
                    person.name if mine else None,
                    n,
                    on_progress=lambda done, total: show({self.status: words.LOOKING.format(done=done, all=total)}),
                    on_unweighed=lambda summary: show(shown(summary)),
                )
            )

        try:
            yield from stream_updates(work)
        except NightjarError as error:
            yield {self.status: escape_html(str(error))}
        except Exception:
            log.exception("looking at votes failed")
            yield {self.status: words.FAILED}

    def _shown(self, look: VoteEffectsSummary, called: dict[str, str], *, mine: bool, at_once: bool) -> Updates:
        n_more = min(DEFAULT_N_VOTES, look.n_votes - look.n_looked_at)
        nothing = (words.NO_VOTES_OF_YOURS if mine else words.NO_VOTES) if not look.effects else ""
        status = nothing if look.is_weighed else words.WEIGHING
        more = n_more > 0 and len(look.effects) < MAX_N_VOTES
        return {
            self.status: status,
            self.found: render_votes(look, called, mine=mine, at_once=at_once),
            self.further: gr.update(value=words.LOOK_FURTHER.format(n=n_more), visible=more),
        }


class TimeTab:
    """How the answers do."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        self._counted = UsageCache()
        self.days = gr.Radio(
            choices=[(words.DAYS_CHOICES[days], days) for days in SPANS_DAYS],
            value=DEFAULT_DAYS,
            label=words.DAYS,
            elem_classes="nj-whose",
        )
        self.found = html_block()

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        blocks.load(self.look, [self.days], [self.found], **ONE_AT_A_TIME)
        self.days.input(self.look, [self.days], [self.found], **ONE_AT_A_TIME)

    def look(self, days: int, request: gr.Request) -> Iterator[str]:
        """What the turns of the last days say, of all people together; says how far it has counted before."""
        current_user(request)

        def work(show: Callable[[str], None]) -> str:
            def on_progress(n_done: int, n_days: int) -> None:
                if n_done < n_days:
                    show(escape_html(words.COUNTING.format(done=n_done, all=n_days)))

            return render_usage(self._counted.over_time(self._opening.app().engine, to_span(days), on_progress))

        try:
            yield from stream_updates(work)
        except NightjarError as error:
            yield escape_html(str(error))
        except Exception:
            log.exception("counting over time failed")
            yield words.FAILED


def fill_insights_page(blocks: gr.Blocks, opening: AppStartup) -> None:
    """Makes the page inside *blocks*, which are open."""
    with gr.Row(elem_classes="nj-top"):
        gr.Markdown(f"# {texts.INSIGHTS_TITLE}\n{texts.INSIGHTS_TAGLINE}", elem_classes="nj-brand")
        page_links("insights")
    with gr.Tabs(elem_classes="nj-insights"):
        with gr.Tab(words.VOTES_TAB):
            votes = VotesTab(opening)
        with gr.Tab(words.TIME_TAB):
            time = TimeTab(opening)
        with gr.Tab(words.COMPARE_TAB):
            compare = CompareTab(opening)
    for tab in (votes, time, compare):
        tab.listen(blocks)
