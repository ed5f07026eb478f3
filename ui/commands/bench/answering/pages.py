"""`nightjar bench pages`: seconds until each page of the web application can be used, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from ui.commands.bench.harness.server import running_server
from ui.commands.console import JSON_OPTION, print_json, print_table, progress_bar

LIMIT_S = 2.0
READY_SELECTORS: Mapping[str, str] = {
    "": ".nj-messages .example",
    "documents": ".nj-row .nj-entry",
    "insights": ".nj-insights .nj-quiet p",
    "training": ".nj-tier label",
    "negatives": ".nj-offered input",
    "people": ".nj-intro p",
}
"""Path of a page → what is there once the server has filled it, and answers: an example to click, the first document, …

The page of people has but one sentence if nobody has an account, as here.
"""


@dataclass(frozen=True, slots=True)
class PageTime:
    """One page."""

    name: str
    path: str
    first_s: float
    """By a browser that has nothing of the page yet."""
    again_s: float
    """Median of the other times."""


def pages(
    *,
    documents: Annotated[Path, typer.Option(help="A folder, whose files are the library.")] = Path("docs"),
    times: Annotated[int, typer.Option(min=2, help="How often each page is opened.")] = 5,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Time each page in Chromium, from asking for it until it can be used: filled by the server, and answering.

    Starts a server of its own over the documents, in a folder that goes away; yours is not touched. Needs chromium,
    chromium-driver and selenium. Exit code 1 if a page takes 2 s or longer, once the browser has seen it.

    [bold]Example[/bold]

    nightjar bench pages
    """
    from ui.commands.bench.harness.browser import headless_browser

    with (
        headless_browser() as browser,
        TemporaryDirectory(prefix="nightjar-bench-") as folder,
        running_server(documents, Path(folder)) as (address, _),
        progress_bar("opening pages", times * len(READY_SELECTORS), "pages") as advance,
    ):
        found = _timed(browser, address, times, advance)
    is_in_time = all(timing.again_s < LIMIT_S for timing in found)
    if as_json:
        print_json({"pages": [asdict(timing) for timing in found], "is_in_time": is_in_time, "limit_s": LIMIT_S})
    else:
        rows = [[timing.name, f"{timing.first_s:.2f}", f"{timing.again_s:.2f}"] for timing in found]
        print_table(["page", "the first time, s", "again, s"], rows, f"Seconds until it can be used; bar {LIMIT_S:g} s")
    if not is_in_time:
        raise typer.Exit(1)


def _timed(browser: Any, address: str, times: int, progress: Callable[[int], None]) -> list[PageTime]:
    from ui.commands.bench.harness.browser import seconds_until
    from ui.texts.shared import PAGES

    taken: dict[str, list[float]] = {path: [] for path in READY_SELECTORS}
    for _ in range(times):
        for path in READY_SELECTORS:
            browser.get("about:blank")
            taken[path].append(seconds_until(browser, f"{address}/{path}", partial(is_usable, path=path)))
            progress(1)
    browser.get("about:blank")  # so that the server has nobody to wait for when it stops
    return [
        PageTime(PAGES[path], f"/{path}", round(seconds[0], 2), round(median(seconds[1:]), 2))
        for path, seconds in taken.items()
    ]


def is_usable(browser: Any, path: str) -> bool:
    """Whether what the server fills the page with is there to be seen, and no longer says that it wakes up."""
    from ui.texts.insights import WAKING

    shown = [
        element for element in browser.find_elements("css selector", READY_SELECTORS[path]) if element.is_displayed()
    ]
    return bool(shown) and shown[0].is_enabled() and shown[0].text != WAKING
