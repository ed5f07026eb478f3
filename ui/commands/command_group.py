"""Groups and panels of commands: a command is a function, and a group is a `typer.Typer` with a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import typer

Command = Callable[..., None] | typer.Typer


def command_group(name: str, summary: str, commands: Iterable[Callable[..., None]] = ()) -> typer.Typer:
    """Returns a group that shows its help if no command of it is named.

    A command is called as its function is, with hyphens: `big_night` is `big-night`.
    """
    group = typer.Typer(name=name, help=summary, no_args_is_help=True)
    for command in commands:
        group.command()(command)
    return group


def add_panels(app: typer.Typer, panels: Mapping[str, Iterable[Command]]) -> None:
    """Adds commands and groups to the application, each in the panel of `--help` that the mapping names."""
    for title, commands in panels.items():
        for command in commands:
            if isinstance(command, typer.Typer):
                app.add_typer(command, rich_help_panel=title)
            else:
                app.command(rich_help_panel=title)(command)


def names_in_order(panels: Mapping[str, Iterable[Command]]) -> list[str]:
    """Returns the names of all commands and groups in the order of the panels: typer alone lists groups last."""
    return [_name(command) for commands in panels.values() for command in commands]


def _name(command: Any) -> str:
    return str(command.info.name) if isinstance(command, typer.Typer) else command.__name__.replace("_", "-")
