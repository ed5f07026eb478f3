"""`nightjar bench report`: how long a report over many questions takes to write, and to open."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ui.commands.bench.harness.work_folder import work_folder
from ui.commands.console import JSON_OPTION, print_json, progress_bar

WRITE_S, OPEN_S = 60.0, 2.0


def report(
    *,
    questions: Annotated[int, typer.Option(min=30, help="Made-up questions, each with a right passage.")] = 10_000,
    opened: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in Chromium, which needs chromium and selenium.")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="Keep the report there.", show_default=False)] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Time a report on two versions over many questions: writing it, with figures and plots, and opening it.

    Questions, ranks and answers are made up, so nothing is searched or encoded. Exit code 1 if it took longer than a
    minute to write, or 2 s to open.

    [bold]Examples[/bold]

    nightjar bench report

    nightjar bench report --questions 1000 --no-open --json
    """
    from eval.bench.report import measure_report

    with work_folder(out) as folder, progress_bar("writing and opening", 2, "steps") as advance:
        measured = measure_report(folder / "report", questions)
        advance(1)
        opened_s = _opened(folder / "report" / "report.html") if opened else None
        advance(1)
    is_in_time = measured.seconds < WRITE_S and (opened_s is None or opened_s < OPEN_S)
    if as_json:
        print_json(asdict(measured) | {"opened_s": opened_s, "is_in_time": is_in_time})
    else:
        typer.echo(
            f"{measured.n_questions:,} questions, {measured.decision}: written in {measured.seconds:.1f} s "
            f"({measured.cpu_s:.1f} of CPU; bar {WRITE_S:.0f} s), a page of {measured.page_kb:,.0f} kB in a folder of "
            f"{measured.folder_mb:,.1f} MB"
        )
        typer.echo("not opened" if opened_s is None else f"opened by Chromium in {opened_s:.2f} s (bar {OPEN_S:.0f} s)")
    if not is_in_time:
        raise typer.Exit(1)


def _opened(page: Path) -> float:
    """Seconds until a browser that runs already shows it whole."""
    from ui.commands.bench.harness.browser import headless_browser, seconds_until

    with headless_browser() as browser:
        browser.get("about:blank")
        found = seconds_until(browser, page.resolve().as_uri(), lambda it: it.find_element("css selector", "h1").text)
    return round(found, 2)
