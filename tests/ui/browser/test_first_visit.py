"""The page in a real browser: ask, look, vote; hostile documents stay text; nothing asks another host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.ingestion.ingest import ingest_paths
from rag.settings import load_settings
from rag.splitting.splitter import SplittingRules
from tests.fixtures.browser import NEEDS, Page
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import shared as texts

pytestmark = NEEDS

GRANT = "# Who can get the grant?\n\nNurses who work at night can get the grant of 500 pounds. Apply before the first of May.\n"
OWLS = "# Owls\n\nOwls hunt mice at night, by hearing alone.\n"
HOSTILE_NAME = "What is <img src=x onerror=alert(3)> for?.txt"
HOSTILE = (
    '# Hostile beacon <img src=x onerror="document.title=1">\n\n'
    'The beacon says <script>document.title="owned"</script> and <img src="http://evil.example/a.png" onerror="alert(2)"> '
    "and ![pixel](http://evil.example/b.png) and [a link](http://evil.example/c) and http://evil.example/d and $$x^2$$ to you.\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("browser")
    documents = home / "documents"
    documents.mkdir()
    for name, text in (("grant.md", GRANT), ("owls.md", OWLS), (HOSTILE_NAME, HOSTILE)):
        (documents / name).write_text(text, "utf-8")

    def fill(app) -> None:
        ingest_paths(app.library, [documents], splitting=SplittingRules(90))
        app.encode_missing()

    settings = load_settings(home / "data", server={"port": 0})
    with serve_in_thread(settings, prepare=fill) as started:
        started.opening.app()
        yield started


@pytest.fixture
def page(browser, server: RunningServer) -> Page:
    browser.get_log("performance"), browser.get_log("browser")  # what came before is another test's
    browser.get(server.address)
    browser.execute_script("localStorage.clear()")  # a conversation that was open is another test's
    browser.refresh()
    opened = Page(browser)
    opened.see(".nj-messages .example")
    return opened


def standing(server: RunningServer) -> list[tuple[str | None, str]]:
    turn_ids = server.opening.app().feedback.standing("local")
    return [(turn_id.passage_id, turn_id.verdict) for turn_id in turn_ids]


def test_a_vote_on_a_passage_is_promised_stored_and_can_be_taken_back(page: Page, server: RunningServer) -> None:
    page.ask("Who can get the grant?")
    card = page.card("500 pounds")
    assert page.see("mark", card).text == "Nurses who work at night can get the grant of 500 pounds."
    assert "grant.md" in card.text and "semantic" in card.text and "keyword" in card.text

    page.see(".nj-helpful", card).click()
    page.see(".nj-note", card, where=lambda one: "now ranks higher" in one.text)
    assert [verdict for _, verdict in standing(server)] == ["helpful"]
    page.see(".nj-pin", card).click()
    page.see(".nj-note", card, where=lambda one: "ranks much higher" in one.text)
    assert [verdict for _, verdict in standing(server)] == ["pin"]
    page.see(".nj-pin.primary", card).click()
    page.see(".nj-pin.secondary", card)
    assert standing(server) == []


def test_an_answer_that_was_not_good_asks_why_in_a_row(page: Page, server: RunningServer) -> None:
    page.ask("What do owls hunt?")
    page.see(".nj-chat .nj-not_relevant").click()
    page.see(".nj-answer_wrong").click()
    page.see(".nj-chat .nj-note", where=lambda one: "does not learn from it" in one.text)
    assert standing(server) == [(None, "answer_wrong")]
    page.see(".nj-chat .nj-not_relevant.primary").click()
    page.see(".nj-chat .nj-not_relevant.secondary")
    assert standing(server) == []


def test_a_hostile_document_stays_text(page: Page, server: RunningServer) -> None:
    page.ask("What does the hostile beacon say?")
    card = page.card("evil.example")
    assert '<script>document.title="owned"</script>' in card.text
    assert "![pixel](http://evil.example/b.png)" in card.text and "$$x^2$$" in card.text
    assert "evil.example" in page.see("[data-testid=bot]").text
    planted = "[src*=evil], [href*=evil], .nj-card :is(img, script, a, .katex), .message :is(img, script, a, .katex)"
    assert [element.get_attribute("outerHTML") for element in page.browser.find_elements("css selector", planted)] == []
    assert page.browser.title == texts.TITLE
    assert page.foreign_requests(server.address) == []


def test_a_hostile_name_is_text_as_a_sample_question_and_as_a_question(page: Page, server: RunningServer) -> None:
    page.see(".nj-messages .example", where=lambda one: "<img src=x" in one.text).click()
    page.see("[data-testid=user]", where=lambda one: "<img src=x onerror=alert(3)>" in one.text)
    page.card("<img src=x")
    assert page.browser.find_elements("css selector", "img[src=x]") == []
    assert page.foreign_requests(server.address) == []


def test_the_page_asks_no_other_host_and_breaks_no_rule_of_its_own(page: Page, server: RunningServer) -> None:
    page.see(".nj-messages .example", where=lambda one: one.text == "Who can get the grant?").click()
    page.card("500 pounds")
    page.see(".nj-quiet", where=lambda one: one.text.startswith("Version "))
    assert page.foreign_requests(server.address) == []
    complaints = [
        entry["message"] for entry in page.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]
    assert complaints == []


def test_an_earlier_answer_shows_its_passages_again_when_it_is_clicked(page: Page) -> None:
    page.ask("Who can get the grant?")
    page.ask("What do barn owls hunt in the night time?")
    assert page.see(".nj-card").text.startswith("1\nOwls")
    page.see("[data-testid=bot]").click()
    page.see(".nj-card", where=lambda one: one.text.startswith("1\nWho can get the grant?"))


def test_a_question_looks_only_where_it_is_told_to(page: Page) -> None:
    page.see(".nj-where button").click()
    page.see(".nj-where input").send_keys("*owls.md")
    page.ask("Who can get the grant?")
    assert {
        element.text.split(" · ")[0].split("/")[-1]
        for element in page.browser.find_elements("css selector", ".nj-meta")
        if element.is_displayed()
    } == {"owls.md"}


def test_a_date_that_is_none_is_answered_by_what_to_write(page: Page) -> None:
    page.see(".nj-where button").click()
    page.see(".nj-where input", where=lambda one: "2026" in one.get_attribute("placeholder")).send_keys("yesterday")
    page.see(".nj-question textarea").send_keys("Who can get the grant?", "\n")
    page.see("[data-testid=bot]", where=lambda one: "'yesterday' is no date: write 2026-11-25" in one.text)
    assert page.see(".nj-question textarea").get_attribute("value") == "Who can get the grant?"


def test_a_question_without_an_answer_shows_the_closest_passages(page: Page) -> None:
    page.ask("Which volcano erupted on Jupiter?")
    assert "No answer:" in page.see("[data-testid=bot]").text
    page.see(".nj-heading", where=lambda one: one.text == "Closest passages")
    page.see(".nj-new").click()
    page.see(".nj-messages .example")


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_needs_no_sideways_scrolling(page: Page, dark: bool, tmp_path: Path) -> None:
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.browser.refresh()
        page.see(".nj-messages .example")
        page.ask("Who can get the grant?")
        width = page.browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 390
        background = page.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(16, 20, 48)") == dark
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
