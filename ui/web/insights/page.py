"""The page of insights: what votes did, how the answers do, and two versions side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.errors import NightjarError
from rag.insights.usage_over_time import SPANS, OverTime, span_of
from ui.actions.compare import full_names
from ui.actions.vote_effects import LOOKED_AT, MOST_LOOKED_AT, Look, VoteLook
from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.background.usage_cache import Counted
from ui.texts import insights as words
from ui.texts import shared as texts
from ui.web.chat.sources_panel import page_links, shown_html
from ui.web.components.escape import escaped
from ui.web.insights.compare_tab import CompareTab
from ui.web.insights.render import look_shown, over_time_shown

log = logging.getLogger(__name__)

Updates = dict[Any, Any]
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "insights", "api_visibility": "private",
                                 "show_progress": "hidden"}  # fmt: skip
"""Looking searches and counts, so it must not take the room of those who chat; more wait in line."""
DEFAULT_DAYS = 30


class VotesTab:
    """What votes did."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._look: VoteLook | None = None
        self.whose = gr.Radio(
            choices=[(words.MINE, "mine"), (words.ALL, "all")], value="all", label=words.WHOSE, visible=False,
            elem_classes="nj-whose",
        )  # fmt: skip
        self.status = gr.Markdown(words.WAKING, latex_delimiters=[], elem_classes="nj-quiet")
        self.found = shown_html()
        self.further = gr.Button(visible=False, size="sm", min_width=0, elem_classes="nj-further")
        self.n = gr.State(LOOKED_AT)

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        shown = [self.whose, self.status, self.found, self.further, self.n]
        blocks.load(self.look, [self.whose, self.n], shown, **ONE_AT_A_TIME)
        self.whose.input(self.look, [self.whose, self.n], shown, **ONE_AT_A_TIME)
        self.further.click(self.look_further, [self.whose, self.n], shown, **ONE_AT_A_TIME)

    def look_further(self, whose: str, n: int, request: gr.Request) -> Iterator[Updates]:
        """Looks at some more votes."""
        yield from self.look(whose, min(n + LOOKED_AT, MOST_LOOKED_AT), request)

    def look(self, whose: str, n: int, request: gr.Request) -> Iterator[Updates]:
        """Says how far it has looked, then shows what it found. What others said is for administrators."""
        person = person_of(request)
        may_see_all = person.may("administrator")
        mine = whose == "mine" or not may_see_all
        yield {self.whose: gr.update(visible=may_see_all), self.n: n}
        try:
            app = self._opening.app()
            self._look = self._look or VoteLook(app)
            for step in self._look.steps(person.name if mine else None, n, early=True):
                if isinstance(step, Look):
                    yield self._shown(step, full_names(app), mine=mine, at_once=app.settings.retrieval.until_tonight)
                else:
                    yield {self.status: words.LOOKING.format(done=step[0], all=step[1])}
        except NightjarError as error:
            yield {self.status: escaped(str(error))}
        except Exception:
            log.exception("looking at votes failed")
            yield {self.status: words.FAILED}

    def _shown(self, look: Look, called: dict[str, str], *, mine: bool, at_once: bool) -> Updates:
        n_more = min(LOOKED_AT, look.n_votes - look.n_looked_at)
        nothing = (words.NO_VOTES_OF_YOURS if mine else words.NO_VOTES) if not look.effects else ""
        status = nothing if look.is_weighed else words.WEIGHING
        more = n_more > 0 and len(look.effects) < MOST_LOOKED_AT
        return {
            self.status: status,
            self.found: look_shown(look, called, mine=mine, at_once=at_once),
            self.further: gr.update(value=words.LOOK_FURTHER.format(n=n_more), visible=more),
        }


class TimeTab:
    """How the answers do."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._counted = Counted()
        self.days = gr.Radio(
            choices=[(words.DAYS_CHOICES[days], days) for days in SPANS], value=DEFAULT_DAYS, label=words.DAYS,
            elem_classes="nj-whose",
        )  # fmt: skip
        self.found = shown_html()

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        blocks.load(self.look, [self.days], [self.found], **ONE_AT_A_TIME)
        self.days.input(self.look, [self.days], [self.found], **ONE_AT_A_TIME)

    def look(self, days: int, request: gr.Request) -> Iterator[str]:
        """What the turns of the last days say, of all people together; says how far it has counted before."""
        person_of(request)
        try:
            for step in self._counted.steps(self._opening.app().engine, span_of(days)):
                if isinstance(step, OverTime):
                    yield over_time_shown(step)
                elif step[0] < step[1]:
                    yield escaped(words.COUNTING.format(done=step[0], all=step[1]))
        except NightjarError as error:
            yield escaped(str(error))
        except Exception:
            log.exception("counting over time failed")
            yield words.FAILED


def fill_insights_page(blocks: gr.Blocks, opening: Opening) -> None:
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
