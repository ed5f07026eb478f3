"""Verdicts as JSON lines: {"query", "passage_id", "verdict", "user", "time"?}, in and out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.errors import NotFoundError, UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.library.library import Library
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import PASSAGE_VERDICTS, ShownPassage, Turn, Verdict, sha256_of, utc_now

IMPORTED_USER = "imported"
MAX_QUESTION_LENGTH = 2000  # characters, as of a question that is asked


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the lines of a file."""

    n_read: int
    n_new: int
    """Verdicts that changed what counts."""
    unknown: tuple[str, ...]
    """Passage ids that name nothing in the library."""
    refused: tuple[str, ...]
    """Lines that say nothing we understand, each with its number and reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    query: str
    passage_id: str
    verdict: str
    user: str
    given_at: datetime


def import_verdicts(feedback: FeedbackStore, library: Library, file: Path) -> ImportReport:
    """Reads verdicts from *file*; passages are named by their id or by their BEIR id. Twice changes nothing.

    Lines that can't be used are reported, and do not stop the others.

    Raises:
        NotFoundError: there is no such file.
    """
    if not file.is_file():
        raise NotFoundError(f"no file {str(file)!r}: name one with a JSON object a line")
    # Not splitlines(): it would also split at U+2028 and its like, which JSON allows inside of a text.
    lines, refused = _read(file.read_text("utf-8-sig", "replace").split("\n"))
    known = library.resolve({line.passage_id for line in lines})
    usable = sorted((line for line in lines if line.passage_id in known), key=lambda line: line.given_at)
    feedback.record_turns(list(_turns(usable, known)))
    verdicts = [
        Verdict(
            user=line.user,
            turn_id=_turn_id(line),
            question=line.query,
            passage_id=known[line.passage_id],
            verdict=line.verdict,
            comment="",
            given_at=line.given_at,
        )
        for line in usable
    ]
    unknown = tuple(sorted({line.passage_id for line in lines} - set(known)))
    return ImportReport(len(lines) + len(refused), feedback.append(verdicts, once=True), unknown, tuple(refused))


def export_verdicts(feedback: FeedbackStore, library: Library) -> Iterator[dict[str, str]]:
    """Every standing verdict on a passage that is still in the library, as a line that can be imported again."""
    standing = [verdict for verdict in feedback.standing() if verdict.passage_id]
    known = library.get([verdict.passage_id for verdict in standing if verdict.passage_id])
    unique = library.resolve({passage.public_id for passage in known.values()})  # two datasets may use the same id
    for verdict in standing:
        if verdict.passage_id in known:
            public_id = known[verdict.passage_id].public_id
            yield {
                "query": verdict.question,
                "passage_id": public_id if public_id in unique else verdict.passage_id,
                "verdict": verdict.verdict,
                "user": verdict.user,
                "time": verdict.given_at.isoformat(),
            }


def _read(lines: Iterable[str]) -> tuple[list[_Line], list[str]]:
    usable: list[_Line] = []
    refused: list[str] = []
    for number, text in enumerate(lines, start=1):
        if text.strip():
            try:
                usable.append(_line(json.loads(text)))
            except (ValueError, RecursionError, UsageError) as error:
                refused.append(f"line {number}: {error}")
    return usable, refused


def _line(given: Any) -> _Line:
    if not isinstance(given, dict):
        raise UsageError(f"{given!r:.80} is no JSON object")
    texts = {name: _text(given, name) for name in ("query", "passage_id", "verdict")}
    user = _text(given, "user") if "user" in given else IMPORTED_USER
    if texts["verdict"] not in PASSAGE_VERDICTS:
        raise UsageError(f"verdict {texts['verdict']!r} is unknown: use one of {', '.join(PASSAGE_VERDICTS)}")
    return _Line(**texts, user=user, given_at=_time(given.get("time")))


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{name!r} is {value!r:.80}, expected a text")
    if len(value) > MAX_QUESTION_LENGTH:
        raise UsageError(f"{name!r} of {len(value):,} characters is too long: use at most {MAX_QUESTION_LENGTH:,}")
    if replace_unstorable(value) != value:
        raise UsageError(f"{name!r} is {value!r:.80}, which holds characters that no database stores")
    return value.strip()


def _time(given: object) -> datetime:
    """The time given, in UTC; without one, a fixed time, so that importing twice changes nothing."""
    if given is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    try:
        time = datetime.fromisoformat(str(given))
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"time {given!r:.80} is not ISO-8601: write 2026-11-22T08:00:00+00:00") from error
    if time > utc_now():
        raise UsageError(f"time {given!r} lies in the future")
    return time


def _turn_id(line: _Line) -> str:
    """One turn for each person and question, whatever the file and however often it is read."""
    return sha256_of(f"{IMPORTED_USER}\n{line.user}\n{line.query}")[:32]


def _turns(lines: Iterable[_Line], known: dict[str, str]) -> Iterator[Turn]:
    by_turn: dict[str, list[_Line]] = {}
    for line in lines:
        by_turn.setdefault(_turn_id(line), []).append(line)
    for turn_id, verdicts_of_turn in by_turn.items():
        ids = dict.fromkeys(known[line.passage_id] for line in verdicts_of_turn)
        shown = tuple(
            ShownPassage(passage_id=passage_id, rank=rank, score=0.0, dense=0.0, lexical=0.0, cited=False)
            for rank, passage_id in enumerate(ids, start=1)
        )
        yield Turn(
            turn_id=turn_id,
            conversation_id=IMPORTED_USER,
            user=verdicts_of_turn[0].user,
            question=verdicts_of_turn[0].query,
            answer="",
            declined=False,
            encoder_id="",
            asked_at=verdicts_of_turn[0].given_at,
            origin="imported",
            shown=shown,
        )
