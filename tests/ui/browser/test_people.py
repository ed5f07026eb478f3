"""Looking after people as an administrator does it, in a real browser: one is added, signs in elsewhere, and is signed out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from rag.accounts.accounts import Accounts
from rag.database.schema import open_database
from tests.fixtures.browser import NEEDS, Page
from tests.fixtures.running_server import served
from ui.server.serve import RunningServer
from ui.texts import accounts as texts_accounts
from ui.texts import people as texts_people

pytestmark = NEEDS

GOOD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("people")
    engine = open_database(f"sqlite:///{home / 'data' / 'nightjar.db'}")
    Accounts(engine).add("ann", "administrator", GOOD)
    engine.dispose()
    with served(home, accounts={"required": "always"}) as started:
        yield started


@contextmanager
def signed_in(server: RunningServer, name: str, password: str) -> Iterator[httpx.Client]:
    """Another browser, by HTTP."""
    with httpx.Client(base_url=server.address, headers={"accept": "text/html"}, timeout=60) as client:
        csrf = re.search('name="csrf" value="([^"]+)"', client.get("/sign-in").text)
        assert csrf is not None
        answered = client.post("/sign-in", data={"csrf": csrf[1], "name": name, "password": password, "next": ""})
        assert answered.status_code == 303, answered.text
        yield client


def test_an_added_person_signs_in_and_their_sessions_are_ended(browser, server: RunningServer) -> None:
    page = Page(browser)
    browser.get(f"{server.address}/sign-in")
    page.see("input[name=name]").send_keys("ann")
    page.see("input[name=password]").send_keys(GOOD, "\n")
    page.see(".nj-pages a, .nj-pages button", where=lambda one: one.text == texts_people.TITLE).click()
    page.see(".nj-human .nj-entry", where=lambda one: one.text == "ann")
    page.see(".nj-add-person input[type=text], .nj-add-person textarea").send_keys("bob")
    box = page.see(".nj-add-person input[type=password]")
    assert box.get_attribute("autocomplete") == "new-password"  # else a browser fills in the administrator's own
    page.see(".nj-act", where=lambda one: one.text == texts_people.ADD).click()
    made = page.see(".nj-secret input, .nj-secret textarea").get_attribute("value")

    with signed_in(server, "bob", made) as bob:
        assert bob.get("/").status_code == 200
        refused = bob.get("/people")
        assert refused.status_code == 403
        assert texts_accounts.NOT_FOR_YOU in refused.text
        page.see(".nj-human .nj-entry", where=lambda one: one.text == "bob").click()
        page.see(".nj-one h2", where=lambda one: one.text == "bob")
        assert not [
            element for element in browser.find_elements("css selector", ".nj-secret") if element.is_displayed()
        ]
        page.see(".nj-act", where=lambda one: one.text == texts_people.END_SESSIONS).click()
        page.see(".nj-status", where=lambda one: "signed out everywhere" in one.text)
        assert bob.get("/").headers["location"] == "sign-in"
    assert page.foreign_requests(server.address) == []
    complaints = [
        entry["message"] for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]
    ]
    assert complaints == []


def test_a_voter_sees_no_way_to_the_page(browser, server: RunningServer) -> None:
    Accounts(server.opening.app().engine).add("vic", "voter", GOOD)
    page = Page(browser)
    browser.get(f"{server.address}/sign-in")
    browser.delete_all_cookies()
    browser.get(f"{server.address}/sign-in")
    page.see("input[name=name]").send_keys("vic")
    page.see("input[name=password]").send_keys(GOOD, "\n")
    page.see(".nj-person", where=lambda one: "vic · voter" in one.text)
    names = [
        element.text for element in browser.find_elements("css selector", ".nj-page-link") if element.is_displayed()
    ]
    assert "Insights" in names
    assert texts_people.TITLE not in names


def test_a_phone_needs_no_sideways_scrolling(browser, server: RunningServer) -> None:
    page = Page(browser)
    browser.get(f"{server.address}/sign-in")
    with signed_in(server, "ann", GOOD) as client:
        browser.add_cookie({"name": "nightjar-session", "value": client.cookies["nightjar-session"]})
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        browser.get(f"{server.address}/people")
        page.see(".nj-human .nj-entry", where=lambda one: one.text == "ann")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        page.see(".nj-human .nj-entry", where=lambda one: one.text == "ann").click()
        page.see(".nj-one h2", where=lambda one: one.text == "ann")
        page.see(".nj-act", where=lambda one: one.text == texts_people.LOCK).click()
        page.see(".nj-removal", where=lambda one: "ann" in one.text)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
