"""`nightjar config show|check`: the settings, their defaults, and whether they are valid."""

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
    """One setting, ready to be shown: secrets are masked."""

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
            )  # the list of settings helps to correct them
        raise
    listed = list(describe_settings(settings))
    if as_json:
        print_json([asdict(setting) for setting in listed])
        return
    _print_table(listed, listed)
    typer.echo(f"\n{WHERE_TO_SET}")


@config_group.command()
def check(context: typer.Context) -> None:
    """Check the settings from all their sources; with exit code 2 it says what is wrong.

    Opens nothing: neither the database nor a model.

    [bold]Example[/bold]

    nightjar config check
    """
    settings = load_command_settings(context)
    typer.echo(f"The settings are valid; the state directory is {str(settings.data)!r}.")


def describe_settings(settings: Settings) -> Iterator[Setting]:
    """Yields every setting in the order of the file, named SECTION.KEY, with its value in *settings*."""
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
    """Returns a value for JSON, with secrets masked."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _print_table(in_force: list[Setting], known: list[Setting]) -> None:
    values = {setting.name: setting.value for setting in in_force}
    rows = [
        [setting.name, _cell(values.get(setting.name)), _cell(setting.default), setting.description]
        for setting in known
    ]
    print_table(["setting", "value", "default", "what it does"], rows)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as TOML writes it
    return "" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
