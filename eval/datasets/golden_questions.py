"""Golden questions: what a library is measured by, each with its right passage or answer, as JSON lines and named by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from eval.datasets.jsonl import parse_json_object
from rag.errors import NotFoundError, UsageError
from rag.parsing.formats.blocks import replace_unstorable

GoldenOrigin = Literal["chat", "liked", "heading", "model", "file"]
"""Where a question comes from. People asked those of a chat and liked ones; headings and models only stand in for them."""

ORIGINS: tuple[str, ...] = get_args(GoldenOrigin)
MAX_QUESTION = 2000  # characters; the limit of questions that people ask, too

_TEXTS = ("question", "source", "quote", "reference", "origin")
_KEYS = {*_TEXTS, "passage_id", "nuggets", "tags", "answerable", "notes"}


@dataclass(frozen=True, slots=True)
class Nugget:
    """One fact that an answer has to hold, in any of its spellings."""

    spellings: tuple[str, ...]
    is_vital: bool = True
    """An answer without a vital one is wrong; the others only make it better (TREC 2003's vital and okay)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A question whose right passage or answer is known."""

    question: str
    source: str = ""
    """The document that answers; empty if none does, or if the quote alone has to identify it."""
    quote: str = ""
    """The answering text, word for word; it is found again in today's passages, however they are split."""
    reference: str = ""
    """A right answer in words."""
    nuggets: tuple[Nugget, ...] = ()
    tags: tuple[str, ...] = ()
    is_answerable: bool = True
    """False if declining is right."""
    origin: str = "file"
    """One of ORIGINS."""

    @property
    def golden_id(self) -> str:
        """A hash of the question, its source and its quote; it stays the same if the answer or the tags change."""
        said = "\0".join((" ".join(self.question.casefold().split()), self.source, " ".join(self.quote.split())))
        return hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """The line that `read_golden` reads again; what is empty is left out."""
        line: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS if getattr(self, name)}
        if self.nuggets:
            line["nuggets"] = [
                list(nugget.spellings) if nugget.is_vital else {"spellings": list(nugget.spellings), "vital": False}
                for nugget in self.nuggets
            ]
        if self.tags:
            line["tags"] = list(self.tags)
        return line if self.is_answerable else line | {"answerable": False}


@dataclass(frozen=True, slots=True)
class GoldenLine:
    """One line of a file: a question, and the passage that it names, if it names one by id."""

    golden: Golden
    passage_id: str
    place: str
    """file:line, for messages."""


def golden_set_hash(questions: Iterable[Golden]) -> str:
    """The hash of the questions' content, in any order: the same hash, the same questions.

    >>> who, when = Golden(question="Who?", quote="Ada"), Golden(question="When?", quote="1843")
    >>> golden_set_hash([who, when]) == golden_set_hash([when, who]) != golden_set_hash([who])
    True
    """
    lines = sorted(json.dumps(asdict(question), ensure_ascii=True, sort_keys=True) for question in questions)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_golden_file(file: Path) -> list[GoldenLine]:
    """Reads a file of golden questions, checking every line.

    A line is `{"question", "source"?, "quote"? or "passage_id"?, "reference"?, "nuggets"?, "tags"?, "answerable"?,
    "origin"?, "notes"?}`. A nugget is a list of spellings, or `{"spellings": […], "vital": false}`. Notes are yours.

    Raises:
        NotFoundError: there is no such file.
        UsageError: a line can't be read; each such line is named.
    """
    if not file.is_file():
        raise NotFoundError(f"no file {str(file)!r}: name one with a golden question a line")
    read, wrong = [], []
    for number, text in enumerate(file.read_text("utf-8-sig").splitlines(), start=1):
        if text.strip():
            try:
                read.append(_line(text, f"{file.name}:{number}"))
            except UsageError as error:
                wrong.append(str(error))
    if wrong:
        raise UsageError("\n".join(wrong))
    return read


def _line(text: str, place: str) -> GoldenLine:
    line = parse_json_object(text, place, '{"question": …, "quote": …}')
    return GoldenLine(parse_golden(line, place), str(line.get("passage_id") or ""), place)


def parse_golden(line: Mapping[str, Any], place: str) -> Golden:
    """The question of one object.

    Raises:
        UsageError: a key is unknown, or a value is not what its key needs.
    """
    if strange := sorted(set(line) - _KEYS):
        raise UsageError(
            f'{place} has the key {strange[0]!r}: known are {", ".join(sorted(_KEYS))}; what is yours goes into "notes"'
        )
    texts = {name: _text(line, name, place) for name in _TEXTS if line.get(name) is not None}
    answerable = line.get("answerable", True)
    if not isinstance(answerable, bool):
        raise UsageError(f"{place} has answerable {answerable!r}: write true or false")
    golden = Golden(
        **texts,
        nuggets=tuple(_nuggets(line, place)),
        tags=_words(line.get("tags", []), "tags", place),
        is_answerable=answerable,
    )
    return check_golden(golden, place, has_passage=bool(line.get("passage_id")))


def check_golden(golden: Golden, place: str, *, has_passage: bool = False) -> Golden:
    """The question, if it can be used for measuring.

    Raises:
        UsageError: it is empty or too long, of no known origin, or says neither what is right nor that nothing is.
    """
    if not golden.question or len(golden.question) > MAX_QUESTION:
        raise UsageError(f"{place} has a question of {len(golden.question):,} characters: write 1 to {MAX_QUESTION:,}")
    if golden.origin not in ORIGINS:
        raise UsageError(f"{place} has the origin {golden.origin!r}: known are {', '.join(ORIGINS)}")
    if golden.is_answerable and not (golden.quote or has_passage or golden.reference or golden.nuggets):
        raise UsageError(
            f"{place} does not say what is right: give a quote or a passage_id, a reference or nuggets, or "
            '"answerable": false'
        )
    return golden


def _text(line: Mapping[str, Any], key: str, place: str) -> str:
    value = line[key]
    if not isinstance(value, str):
        raise UsageError(f"{place} has {key} {value!r}: write a text")
    return replace_unstorable(value).strip()


def _nuggets(line: Mapping[str, Any], place: str) -> Iterator[Nugget]:
    given = line.get("nuggets", [])
    if not isinstance(given, list):
        raise UsageError(f'{place} has nuggets {given!r}: write a list, as in [["1843", "in 1843"]]')
    for item in given:
        spellings, vital = (item.get("spellings"), item.get("vital", True)) if isinstance(item, dict) else (item, True)
        if not spellings or not isinstance(vital, bool):
            raise UsageError(
                f'{place} has the nugget {item!r}: write a list of spellings, or {{"spellings": […], "vital": false}}'
            )
        yield Nugget(_words(spellings, "nuggets", place), vital)


def _words(value: object, key: str, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise UsageError(f"{place} has {key} {value!r}: write a list of texts")
    return tuple(replace_unstorable(item).strip() for item in value)
