"""Settings, read once at the door: defaults < nightjar.toml < NIGHTJAR__SECTION__KEY < flags."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings.exceptions import SettingsError as SourceError

from rag.errors import SettingsError
from rag.settings_sections import (
    AccountsSettings,
    DatabaseSettings,
    EncoderSettings,
    EvalSettings,
    FeedbackSettings,
    GateSettings,
    GeneratorSettings,
    IndexSettings,
    JudgeSettings,
    LimitsSettings,
    NightSettings,
    ParsingSettings,
    PassageSettings,
    RetrievalSettings,
    ScheduleSettings,
    ServerSettings,
)

REPLACED = {
    "passages.max_words": 'passages are measured in the encoder\'s tokens now: set "passages.max_tokens", 4 for 3 words'
}
"""Settings that were, and what to do instead."""


class Settings(BaseSettings):
    """Everything a person can set."""

    model_config = SettingsConfigDict(
        env_prefix="NIGHTJAR__", env_nested_delimiter="__", extra="forbid", frozen=True, env_parse_none_str="none"
    )

    data: Path = Field(default=Path("nightjar-data"), description="the state directory")
    database: DatabaseSettings = DatabaseSettings()
    encoder: EncoderSettings = EncoderSettings()
    parsing: ParsingSettings = ParsingSettings()
    passages: PassageSettings = PassageSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    generator: GeneratorSettings = GeneratorSettings()
    judge: JudgeSettings = JudgeSettings()
    index: IndexSettings = IndexSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    night: NightSettings = NightSettings()
    gate: GateSettings = GateSettings()
    eval: EvalSettings = EvalSettings()
    server: ServerSettings = ServerSettings()
    accounts: AccountsSettings = AccountsSettings()
    limits: LimitsSettings = LimitsSettings()
    schedule: ScheduleSettings = ScheduleSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before environment before the file."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL in force."""
        url = self.database.url
        return url.get_secret_value() if url else f"sqlite:///{quote(str(self.data / 'nightjar.db'))}"


def load_settings(data: Path | None = None, file: Path | None = None, **flags: Mapping[str, object]) -> Settings:
    """Reads the settings from all their sources.

    *data* is the `--data` flag; else NIGHTJAR_DATA, else what the file says. *file* defaults to
    NIGHTJAR_CONFIG, else ./nightjar.toml if that exists. *flags* are whole sections as dicts.

    Raises:
        SettingsError: a key is unknown, a value is refused, or the file is absent, unreadable or no TOML.
    """
    named = file or _path_in("NIGHTJAR_CONFIG")
    if named is not None and not named.is_file():
        raise SettingsError(
            f"settings file {str(named)!r} is not there: write it, or correct --config or NIGHTJAR_CONFIG"
        )
    file = named or Path("nightjar.toml")
    chosen = data or _path_in("NIGHTJAR_DATA")
    given: dict[str, Any] = {**flags, **({"data": chosen} if chosen else {})}
    _check_environment()
    try:
        return _from_file(file)(**given)
    except ValidationError as error:
        # Not chained: pydantic's own message would print what was refused, secrets included.
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from None
    except SourceError as error:
        raise SettingsError(_explain_variable(str(error))) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{str(file)!r} is not valid TOML ({error}): correct it, or move it away") from error


def _path_in(variable: str) -> Path | None:
    """The path in an environment variable; set to nothing is the same as not set."""
    value = os.environ.get(variable)
    return Path(value) if value else None


def _from_file(file: Path) -> type[Settings]:
    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    return FromFile


def _check_environment() -> None:
    """pydantic-settings ignores unknown variables at the top level; a misspelt section must not pass silently.

    Names without a double underscore are not ours: Kubernetes sets NIGHTJAR_SERVICE_HOST for a service of our name.
    """
    for name in os.environ:
        prefix, *keys = name.lower().split("__")
        if not name.upper().startswith("NIGHTJAR_") or not keys:
            continue
        if prefix != "nightjar":
            raise SettingsError(f"environment variable {name!r} names no setting: write NIGHTJAR__SECTION__KEY")
        if keys[0] not in Settings.model_fields:
            raise SettingsError(f"environment variable {name!r} names no setting: {_nearest(keys[0], Settings)}")
        if len(keys) > 1 and _section(keys[:1]) is Settings:
            raise SettingsError(f"environment variable {name!r} names no setting: {keys[0]!r} has no keys below it")


def _explain(problem: ErrorDetails) -> str:
    *parents, key = (str(part) for part in problem["loc"])
    where = ".".join((*parents, key))
    if problem["type"] == "extra_forbidden":
        return f"unknown setting {where!r}: {REPLACED.get(where) or _nearest(key, _section(parents))}"
    value = "has a value that" if _has_secrets((*parents, key)[0]) else f"is {problem.get('input')!r}, which"
    return f'setting {where!r} {value} is refused: {problem["msg"]}; see "nightjar config show"'


def _explain_variable(message: str) -> str:
    """pydantic-settings names only the section whose variable could not be read."""
    section = message.split('"')[1]
    names = [name for name in os.environ if name.upper().startswith(f"NIGHTJAR__{section.upper()}")]
    return (
        f'{" or ".join(sorted(names))} is not valid JSON: write a list as \'["a", "b"]\', '
        "and a section key by key, as in NIGHTJAR__SERVER__PORT=8000"
    )


def _has_secrets(section: str) -> bool:
    fields = _section([section]).model_fields.values()
    return any("SecretStr" in repr(field.annotation) for field in fields)


def _section(parents: list[str]) -> type[BaseModel]:
    section: type[BaseModel] = Settings
    for parent in parents:
        annotation = section.model_fields[parent].annotation
        section = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else section
    return section


def _nearest(key: str, section: type[BaseModel]) -> str:
    near = difflib.get_close_matches(key, section.model_fields, n=1, cutoff=0.0)
    return f"did you mean {near[0]!r}? Known here: {', '.join(section.model_fields)}"
