"""`nightjar --help`: every command, in the panel of its subject, and all in one mood."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

from ui.cli import PANELS, app
from ui.commands.command_group import names_in_order
from ui.version import nightjar_version

ROOT = typer.main.get_command(app)


def commands_below(group: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in getattr(group, "commands", {}).items():
        yield f"{path}{name}", command
        yield from commands_below(command, f"{path}{name} ")


COMMANDS = dict(commands_below(ROOT))


def test_every_command_is_in_one_panel() -> None:
    names = names_in_order(PANELS)
    assert sorted(names) == sorted(ROOT.commands)  # type: ignore[attr-defined]
    assert len(names) == len(set(names))


def test_help_shows_the_panels_in_the_order_of_the_table() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    titles = [line.split()[1:] for line in shown.splitlines() if line.startswith("╭─")]
    assert [" ".join(title[:-1]) for title in titles] == ["Options", *PANELS]
    positions = [shown.index(f"│ {name} ") for name in names_in_order(PANELS)]
    assert positions == sorted(positions)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_imperative(name: str) -> None:
    """ "List the documents", not "Lists the documents"."""
    summary = COMMANDS[name].help or ""
    verb = summary.split()[0].rstrip(",:")
    assert verb[0].isupper(), summary
    assert not verb.endswith("s") or verb.endswith("ss"), summary


def test_version_prints_the_release_and_opens_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"nightjar {nightjar_version()}\n")
    assert list(tmp_path.iterdir()) == []
