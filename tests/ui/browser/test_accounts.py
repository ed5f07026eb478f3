"""Signing in as a person does it, in a real browser: in, who one is, a vote under one's own name, and out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag.accounts.accounts import Accounts
from rag.database.schema import open_database
from tests.fixtures.browser import NEEDS, Page
from tests.fixtures.running_server import served
from ui.server.serve import RunningServer
from ui.texts import accounts as texts

pytestmark = NEEDS

GOOD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("signing-in")
    engine = open_database(f"sqlite:///{home / 'data' / 'nightjar.db'}")
    Accounts(engine).add("ann", "administrator", GOOD)
    engine.dispose()
    with served(home, accounts={"required": "always"}) as started:
        yield started


def test_a_person_signs_in_votes_under_their_name_and_signs_out(browser, server: RunningServer) -> None:
    page = Page(browser)
    browser.get(f"{server.address}/documents")
    assert "/sign-in?next=documents" in browser.current_url
    page.see("input[name=name]").send_keys("ann")
    page.see("input[name=password]").send_keys("not this one", "\n")
    assert page.see(".wrong").text == texts.WRONG
    page.see("input[name=password]").send_keys(GOOD, "\n")
    page.see(".nj-person", where=lambda one: "ann · administrator" in one.text)
    assert browser.current_url == f"{server.address}/documents"

    browser.get(server.address)
    page.ask("Who can get the grant?")
    card = page.card("500 pounds")
    page.see(".nj-helpful", card).click()
    page.see(".nj-note", card, where=lambda one: "now ranks higher" in one.text)
    assert [verdict.user for verdict in server.opening.app().feedback.standing()] == ["ann"]

    page.see(".nj-person a, .nj-person button", where=lambda one: "ann" in one.text).click()
    page.see("h1", where=lambda one: one.text == texts.ACCOUNT)
    page.see("input[name=label]").send_keys("a program", "\n")
    assert page.see("input.secret").get_attribute("value").startswith("nj_")
    browser.back(), browser.get(server.address)
    page.see(".nj-person a, .nj-person button", where=lambda one: one.text == texts.SIGN_OUT).click()
    assert page.see(".told").text == texts.SIGNED_OUT
    browser.get(server.address)
    page.see("input[name=password]")
    assert page.foreign_requests(server.address) == []
    refused = [
        entry["message"] for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]
    ]
    assert refused == []
