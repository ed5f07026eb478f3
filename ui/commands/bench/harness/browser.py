"""A headless Chromium that a program steers, for benchmarks and for the tests of pages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rag.errors import NightjarError

POLL_S = 0.01  # between two looks at a page
PAGE_TIMEOUT_S = 60.0  # until a page is taken for one that never comes
INSTALL_HINT = "Debian has it as chromium and chromium-driver (apt install chromium chromium-driver)"


def open_browser() -> Any:
    """A browser that keeps what it asks for and complains of; the caller quits it.

    Raises:
        NightjarError: Chromium, its driver or selenium is not there.
    """
    try:
        from selenium import webdriver
    except ModuleNotFoundError as error:
        raise NightjarError(
            "selenium, which steers the browser, is not installed: pip install 'selenium>=4.30'"
        ) from error
    found = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise NightjarError(f"no {' and no '.join(missing)} on this machine, which show the pages: {INSTALL_HINT}")
    options = webdriver.ChromeOptions()
    options.binary_location = str(found["chromium"])
    # --no-sandbox: root in a container has no other way; the pages are our own.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1360,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(str(found["chromedriver"])))


@contextmanager
def headless_browser() -> Iterator[Any]:
    """The same, until the block ends."""
    browser = open_browser()
    try:
        yield browser
    finally:
        browser.quit()


def seconds_until(browser: Any, url: str, is_ready: Callable[[Any], bool]) -> float:
    """What passes from asking for *url* until *is_ready* is true of the browser.

    Raises:
        NightjarError: it never is.
    """
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    started = time.perf_counter()
    browser.get(url)
    while time.perf_counter() - started < PAGE_TIMEOUT_S:
        try:
            if is_ready(browser):
                return time.perf_counter() - started
        except (NoSuchElementException, StaleElementReferenceException):
            pass  # the page is still being put together
        time.sleep(POLL_S)
    raise NightjarError(
        f"{url} was not there after {PAGE_TIMEOUT_S:.0f} s: look at it by hand, and at the server's log"
    )
