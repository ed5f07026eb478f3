"""The page of training in a real browser: a night by hand, watched to its end; a doubt decided; a rollback confirmed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.app.app import open_app
from rag.settings import Settings, load_settings
from retriever_training.judgments.reviews import ReviewStore
from tests.fixtures import jargon
from tests.fixtures.browser import NEEDS, Page
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import training as texts

pytestmark = NEEDS

NIGHT_S = 300  # that a night of tier 1, which steps back behind everybody else, may take on a busy machine


@pytest.fixture(scope="module")
def server(_manuals: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The library of manuals with votes, and no night yet."""
    data = Path(shutil.copytree(_manuals, tmp_path_factory.mktemp("training") / "data"))
    app = open_app(Settings(data=data))
    jargon.vote(app, jargon.questions())
    app.close()
    with serve_in_thread(load_settings(data, server={"port": 0})) as started:
        started.opening.app()
        yield started


@pytest.fixture
def page(browser, server: RunningServer) -> Page:
    browser.get_log("performance"), browser.get_log("browser")
    browser.get(f"{server.address}/training")
    opened = Page(browser)
    opened.see(".nj-night")
    return opened


def tab(page: Page, name: str) -> None:
    found = page.browser.find_elements("css selector", "button[role=tab]")
    page.browser.execute_script(
        "arguments[0].click()", next(element for element in found if element.text.strip() == name)
    )


@pytest.mark.slow
def test_a_night_by_hand_is_watched_to_its_end_and_can_be_undone(page: Page, server: RunningServer) -> None:
    page.see(".nj-enough")
    page.see(".nj-tier label", where=lambda one: "Tier 1" in one.text).click()
    page.see(".nj-quiet", where=lambda one: "learns a linear map" in one.text)
    page.see(".nj-act", where=lambda one: one.text == texts.TRAIN).click()
    page.see(".nj-night.nj-running", where=lambda one: "You may close this page" in one.text)
    page.browser.refresh()
    deadline = time.monotonic() + NIGHT_S
    while server.opening.nights.last_exit is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page.see(".nj-night.nj-promoted", where=lambda one: "Served nDCG@10 rose" in one.text)

    tab(page, texts.VERSIONS)
    made = server.opening.app().current().encoder_id
    before = server.opening.app().registry.version_before_current()
    page.see(".nj-plotted.nj-promoted")
    page.see(".nj-version.nj-current", where=lambda one: made[:8] in one.text)
    page.see(".nj-change input").click()
    page.see("[role=option]", where=lambda one: before[:8] in one.text).click()
    typed, why = page.browser.find_elements("css selector", ".nj-change .nj-look :is(input, textarea)")
    typed.send_keys(before[:8])
    why.send_keys("worse on <b>printers</b>")
    page.see(".nj-act", where=lambda one: one.text == texts.CHANGE).click()
    page.see(".nj-version.nj-current", where=lambda one: before[:8] in one.text and "<b>printers</b>" in one.text)
    assert server.opening.app().active_retriever.version.encoder_id == before
    assert page.foreign_requests(server.address) == []
    complaints = [
        entry["message"] for entry in page.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]
    assert complaints == []


def test_a_doubt_is_decided_with_a_button_and_the_next_one_comes(page: Page, server: RunningServer) -> None:
    tab(page, texts.REVIEWS)
    first = page.see(".nj-doubt").text
    page.see(".nj-not_negative").click()
    page.see(".nj-doubt", where=lambda one: one.text != first)
    (review,) = ReviewStore(server.opening.app().engine).standing()
    assert review.decision == "not_negative" and review.question in first


@pytest.mark.parametrize("name", [texts.NIGHT, texts.VERSIONS, texts.REVIEWS, texts.REPORTS])
def test_a_phone_needs_no_sideways_scrolling(page: Page, name: str) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        tab(page, name)
        page.see(".nj-night, .nj-version, .nj-doubt, .nj-reports, .nj-hint, p")
        assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
