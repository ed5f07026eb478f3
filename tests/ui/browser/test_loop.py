"""The whole circle by hand, in a real browser: ask, vote, train, and the same question finds the right passage first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.settings import load_settings
from tests.fixtures import jargon
from tests.fixtures.browser import NEEDS, Page
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import insights as texts_insights
from ui.texts import training

pytestmark = NEEDS
QUESTION = "What does the red light on the projector mean?"
RIGHT = "Lunveil: a red light means"
"""By the projector's code name, which the base encoder can't know: it finds this passage, but others first."""


@pytest.fixture
def server(manuals: Path) -> Iterator[RunningServer]:
    """Serves the library of manuals; other people have voted on every question but this one."""

    def prepare(app) -> None:
        jargon.vote(app, {question: right for question, right in jargon.questions().items() if question != QUESTION})

    with serve_in_thread(load_settings(manuals, server={"port": 0}), prepare=prepare) as started:
        started.opening.app()
        yield started


def test_a_vote_becomes_a_better_first_passage_and_insights_say_so(browser, server: RunningServer) -> None:
    page = Page(browser)
    browser.get(server.address)
    page.ask(QUESTION)
    assert RIGHT not in page.see(".nj-card").text, "without a night another product comes first"
    badge = page.see(".nj-quiet", where=lambda one: one.text.startswith("Version ")).text.split(" · ")[0]
    name_the_right_passage(page)

    chat = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(f"{server.address}/training")
    page.see(".nj-tier label", where=lambda one: "Tier 1" in one.text).click()
    page.see(".nj-act", where=lambda one: one.text == training.TRAIN).click()
    page.see(".nj-night.nj-promoted", where=lambda one: "Served nDCG@10 rose" in one.text, seconds=120)

    browser.switch_to.window(chat)  # the conversation goes on: only the badge tells that another version answers
    page.ask(QUESTION)
    page.see(".nj-quiet", where=lambda one: one.text.startswith("Version ") and not one.text.startswith(badge))
    assert RIGHT in page.see(".nj-card").text
    assert page.n_answers() == 2

    browser.get(f"{server.address}/insights")
    page.see(".nj-whose label", where=lambda one: one.text == texts_insights.MINE).click()
    effect = page.see(".nj-effect", where=lambda one: QUESTION in one.text)
    before, now = (int(rank) for rank in page.see(".nj-ranks", effect).text.removeprefix("rank ").split(" → "))
    assert before > now == 1
    assert page.foreign_requests(server.address) == []


def name_the_right_passage(page: Page) -> None:
    card = page.card(RIGHT)
    page.see(".nj-pin", card).click()
    page.see(".nj-note", card, where=lambda one: "ranks much higher" in one.text)
