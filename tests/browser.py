"""A real browser for the tests of pages: what a person sees and does in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from ui.browser import open_browser

__all__ = ["NEEDS", "Page", "open_browser"]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

NEEDS = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver"),
    # Gradio 6.31 asks pandas 3 for what pandas 4 will not have, whenever an event ends.
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]
"""The marks of every such test file: `pytestmark = NEEDS`."""

SEEN_S = 45  # that a page may take on a busy machine


class Page:
    """What a person sees and does."""

    def __init__(self, browser) -> None:
        self.browser = browser

    def see(self, css: str, inside=None, *, where: Callable = lambda element: True, seconds: float = SEEN_S):
        """The first visible element, waited for."""
        from selenium.webdriver.support.ui import WebDriverWait

        def found(_browser):
            elements = (inside or self.browser).find_elements("css selector", css)
            return next((one for one in elements if one.is_displayed() and where(one)), None)

        return WebDriverWait(self.browser, seconds, ignored_exceptions=_stale()).until(found, f"no visible {css}")

    def ask(self, question: str) -> None:
        n_before = len(self.browser.find_elements("css selector", "[data-testid=bot]"))
        box = self.see(".nj-question textarea")
        box.send_keys(question, "\n")
        self.see(".nj-card .nj-vote", where=lambda one: one.is_enabled() and self.n_answers() > n_before)
        self.see(".nj-chat .nj-votes")  # it comes with the whole answer

    def n_answers(self) -> int:
        return len(self.browser.find_elements("css selector", "[data-testid=bot]"))

    def card(self, holding: str):
        return self.see(".nj-card", where=lambda one: holding in one.text)

    def foreign_requests(self, address: str) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        assert any(url.startswith(address) for url in urls)
        return [url for url in urls if not url.startswith((address, "data:", "blob:"))]


def _stale() -> tuple[type[Exception], ...]:
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    return NoSuchElementException, StaleElementReferenceException
