"""How commands read settings, print results and show progress: data on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rag.app.app import App
    from rag.settings import Settings


JSON_OPTION = typer.Option("--json", help="Print JSON to stdout, for programs.")
FROM_ARGUMENT = typer.Argument(help="One JSON object a line.")
TO_ARGUMENT = typer.Argument(help="Where to write; - for stdout.")


def load_command_settings(context: typer.Context, **sections: Any) -> Settings:
    """Returns the settings of this command; *sections* are values of its flags, as in `server={"port": 8000}`."""
    from rag.settings import load_settings  # imports pydantic: a third of a second that `--help` need not take

    return load_settings(context.obj["data"], context.obj["config"], **sections)


@contextmanager
def opened_app(context: typer.Context) -> Iterator[App]:
    """Opens the state directory that the settings name, until the block ends."""
    from rag.app.app import open_app

    app = open_app(load_command_settings(context))
    try:
        yield app
    finally:
        app.close()


def print_json(value: object) -> None:
    """Prints one JSON document on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def write_lines(objects: Sequence[object], file: Path, name: str) -> None:
    """Writes one JSON object a line to a file ("-" is stdout), and their number to stderr; *name* is their plural."""
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in objects)
    if str(file) == "-":
        typer.echo(text, nl=False)
    else:
        file.write_text(text, "utf-8")
        typer.echo(f"{len(objects):,} {name} written to {file}", err=True)


def print_table(columns: list[str], rows: list[list[str]], title: str | None = None) -> None:
    """Prints a table on stdout; columns of numbers are aligned right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = all(row[index][:1] in "+-.0123456789–" for row in rows if row[index])
        table.add_column(column, justify="right" if rows and numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def escape_unprintable(text: str) -> str:
    r"""Returns the text with escapes for characters that would control the terminal.

    >>> escape_unprintable("a.txt"), escape_unprintable("a\x1b[2J.txt")
    ('a.txt', 'a\\x1b[2J.txt')
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@contextmanager
def progress_bar(label: str, total: int | None, unit: str = "passages") -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on stderr; yields the function that advances it by n.

    Shows nothing if stderr is not a terminal, as under cron.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)


@contextmanager
def stage_progress_bars() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Shows one progress bar for each stage on stderr; yields the function that begins a stage."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def begin(stage: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(stage, total=total, visible=total > 0)
            return lambda n: bars.advance(task, n)

        yield begin
