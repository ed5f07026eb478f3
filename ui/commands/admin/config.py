"""`nightjar config show|check`: what is set, what could be, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import SettingsError
from ui.commands.command_group import command_group
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from rag.settings import Settings

config_group = command_group("config", "Show and check the settings.")

WHERE_TO_SET = """Set them in nightjar.toml ([retrieval] k = 8), by environment (NIGHTJAR__RETRIEVAL__K=8), or by a command's
flags; the later of these wins."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the settings, ready to be shown: secrets are masked."""

    name: str
    value: Any
    default: Any
    description: str


@config_group.command()
def show(context: typer.Context, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Show every setting: its value now, its default, and what it does. Secrets are masked.

    [bold]Example[/bold]

    nightjar config show
    """
    from rag.settings import Settings

    try:
        settings = load_command_settings(context)
    except SettingsError:
        if not as_json:
            _print_table(
                [], list(describe_settings(Settings.model_construct()))
            )  # what can be set helps to correct what is
        raise
    found = list(describe_settings(settings))
    if as_json:
        print_json([asdict(problem) for problem in found])
        return
    _print_table(found, found)
    typer.echo(f"\n{WHERE_TO_SET}")


@config_group.command()
def check(context: typer.Context) -> None:
    """Read the settings from all their places; exit code 2 names what is wrong.

    Opens nothing: neither the database nor a model.

    [bold]Example[/bold]

    nightjar config check
    """
    settings = load_command_settings(context)
    typer.echo(f"The settings are right; the state directory is {str(settings.data)!r}.")


def describe_settings(settings: Settings) -> Iterator[Setting]:
    """Every setting in the order of the file, named SECTION.KEY, with its value in *settings*."""
    from pydantic import BaseModel

    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            for key, inner in type(value).model_fields.items():
                yield _setting(f"{name}.{key}", getattr(value, key), inner)
        else:
            yield _setting(name, value, field)


def _setting(name: str, value: object, field: FieldInfo) -> Setting:
    return Setting(name, _plain(value), _plain(field.get_default()), field.description or "")


def _plain(value: object) -> object:
    """A value as JSON knows it, secrets masked."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _print_table(found: list[Setting], known: list[Setting]) -> None:
    values = {problem.name: problem.value for problem in found}
    rows = [
        [setting.name, _cell(values.get(setting.name)), _cell(setting.default), setting.description]
        for setting in known
    ]
    print_table(["setting", "value", "default", "what it does"], rows)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as TOML writes it
    return "" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
