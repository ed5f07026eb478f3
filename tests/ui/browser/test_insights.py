"""The page of insights in a real browser, after a real night: rank before and now, plots, and a hidden comparison."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.ingestion.ingest import ingest_paths
from rag.settings import load_settings
from rag.splitting.splitter import SplittingRules
from tests.fixtures.browser import NEEDS, Page
from tests.fixtures.library_after_night import ASKED, LATER
from tests.ui.browser.test_first_visit import HOSTILE
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import insights as words

pytestmark = NEEDS
HOSTILE_QUESTION = (
    'What does <img src="http://evil.example/x.png" onerror="document.title=1"> ![x](http://evil.example) say?'
)


def vote_on_what_is_hostile(app) -> None:
    """Question and passage are full of HTML; the vote on them is the latest one."""
    answer = app.answerer.answer(HOSTILE_QUESTION, user="local")
    app.feedback.record_verdict("local", answer.turn_id, answer.hits[0].passage.passage_id, "helpful")


@pytest.fixture(scope="module")
def server(_after_a_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("insights")
    data = Path(shutil.copytree(_after_a_night, home / "data"))
    (home / "documents").mkdir()
    (home / "documents" / "hostile.txt").write_text(HOSTILE, "utf-8")

    def prepare(app) -> None:
        ingest_paths(app.library, [home / "documents"], splitting=SplittingRules(90))
        app.encode_missing()
        app.refresh()
        vote_on_what_is_hostile(app)

    with serve_in_thread(load_settings(data, server={"port": 0}), prepare=prepare) as started:
        started.opening.app()
        yield started


@pytest.fixture
def page(browser, server: RunningServer) -> Page:
    browser.get(f"{server.address}/insights")
    return Page(browser)


def open_tab(page: Page, name: str) -> None:
    page.see("button[role=tab]", where=lambda one: one.text == name).click()


def show_mine(page: Page) -> None:
    page.see(".nj-whose label", where=lambda one: one.text == words.MINE).click()
    page.see(".nj-sum", where=lambda one: one.text.startswith("Your one vote"))


def vote(page: Page, question: str):
    return page.see(".nj-effect", where=lambda one: question in one.text)


def test_the_page_tells_where_a_pinned_passage_stood_and_stands_and_which_version_moved_it(page: Page) -> None:
    show_mine(page)
    assert page.see(".nj-sum").text == "Your one vote that a night has learned from moved the passage as you wanted."
    assert page.see(".nj-sum-rest").text == "2 more count tonight."
    moved = vote(page, ASKED)
    before, now = (int(rank) for rank in page.see(".nj-ranks", moved).text.removeprefix("rank ").split(" → "))
    assert now < before
    chips = [chip.text for chip in moved.find_elements("css selector", ".nj-chip")]
    assert chips == [f"v1: {before}", f"v2: {now}"]
    assert page.see(".nj-turned", moved).text == f"v2: {now}"
    assert words.OUTCOMES["moved"] in moved.text
    assert words.OUTCOMES["tonight"] in vote(page, LATER).text


def test_everybodys_votes_come_in_pieces(page: Page) -> None:
    page.see(".nj-sum", where=lambda one: one.text.startswith("Of the latest"))
    assert len(page.browser.find_elements("css selector", ".nj-effect")) == 20
    page.see(".nj-further").click()
    page.see(".nj-did", where=lambda one: len(one.find_elements("css selector", ".nj-effect")) == 40)


def test_what_is_hostile_stays_text_and_no_other_host_is_asked(page: Page, server: RunningServer) -> None:
    shown = vote(page, "evil.example")
    assert f"“{HOSTILE_QUESTION}”" in shown.text
    assert page.browser.find_elements("css selector", "[src*=evil], [href*=evil], .nj-did :is(img, script, a)") == []
    assert page.foreign_requests(server.address) == []


def test_plots_and_the_table_beside_them_tell_the_same(page: Page) -> None:
    open_tab(page, words.TIME_TAB)
    page.see(".nj-plot rect")
    assert (
        len([element for element in page.browser.find_elements("css selector", ".nj-plot") if element.is_displayed()])
        == 4
    )
    page.see(".nj-as-table summary").click()
    last = page.see(".nj-as-table tbody tr:last-child")
    asked = page.see(".nj-tile").text
    assert asked == last.find_elements("css selector", "td")[1].text
    page.see(".nj-whose label", where=lambda one: one.text == words.DAYS_CHOICES[7]).click()
    page.see(".nj-as-table", where=lambda one: len(one.find_elements("css selector", "tbody tr")) == 8)
    assert "EvalError" not in str(page.browser.get_log("browser"))


def test_a_hidden_comparison_is_judged_then_named_and_may_become_a_pin(page: Page, server: RunningServer) -> None:
    app = server.opening.app()
    open_tab(page, words.COMPARE_TAB)
    box = page.see(".nj-look textarea")
    box.send_keys(ASKED, "\n")
    page.see(".nj-which")
    heads = [element.text for element in page.browser.find_elements("css selector", ".nj-side h2")]
    assert heads == [words.LEFT, words.RIGHT]
    source = page.see(".nj-two").get_attribute("innerHTML")
    assert not any(version.encoder_id in source for version in app.registry.versions())
    page.see(".nj-side-left").click()
    told = page.see(".nj-result").text
    assert "was preferred 1 of 1 time; 10 are needed" in told
    heads = [element.text for element in page.browser.find_elements("css selector", ".nj-side h2")]
    assert [head.split(" · ")[0] for head in heads] == ["v1", "v2"], "what moved is told from the older to the newer"
    assert page.see(".nj-move").text
    n_before = len(app.feedback.standing("local"))
    page.see(".nj-offer-pin .nj-pin").click()
    page.see(".nj-quiet", where=lambda one: one.text == words.PINNED)
    pinned = app.feedback.standing("local")
    assert len(pinned) == n_before + 1
    assert (pinned[-1].question, pinned[-1].verdict) == (ASKED, "pin")


def test_a_phone_needs_no_sideways_scrolling(page: Page) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.browser.refresh()
        page.see(".nj-effect")
        for tab, css in ((words.TIME_TAB, ".nj-plot"), (words.COMPARE_TAB, ".nj-look textarea")):
            open_tab(page, tab)
            page.see(css)
            assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
