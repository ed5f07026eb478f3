"""The golden questions that a library keeps: added, listed and retired, but never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.engine import Connection

from eval.datasets.golden_questions import Golden, GoldenLine, check_golden, parse_golden
from rag.database.schema import read_connection
from rag.database.user_tables import golden_questions as table
from rag.errors import NotFoundError
from rag.feedback.feedback_store import FeedbackStore
from rag.library.library import Library
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGoldenQuestion:
    """A golden question as the library keeps it."""

    golden_id: str
    golden: Golden
    added_by: str
    added_at: str
    retired_at: str | None = None
    """The time since when it is no longer used; None if it is in use."""


def add_golden_from_turn(engine: Engine, library: Library, turn_id: str, passage_id: str | None, user: str) -> str:
    """Keeps the question of a turn, with a passage that answers it, as a golden question; returns its id.

    With *passage_id* None it becomes a question that the documents do not answer. Adding it again changes nothing; one
    that was retired counts again. Whether *user* may see the turn is for the caller to check.

    Raises:
        NotFoundError: no such turn, or no such passage in the library.
    """
    question = FeedbackStore(engine).turn(turn_id).question
    made = Golden(question=question, is_answerable=passage_id is not None, origin="chat")
    if passage_id is not None:
        made = with_passage(made, library, passage_id)
    return add_golden(engine, [made], user)[0]


def with_passage(made: Golden, library: Library, passage_id: str) -> Golden:
    """The question with the source and the text of a passage, which both outlive its id.

    Raises:
        NotFoundError: the library has no such passage.
    """
    found = library.get([replace_unstorable(passage_id)])
    passage = found.get(replace_unstorable(passage_id)) or next(
        iter(library.get(list(library.resolve([replace_unstorable(passage_id)]).values())).values()), None
    )
    if passage is None:
        raise NotFoundError(f'no passage {passage_id!r} in the library: "nightjar search" shows the ids of passages')
    return replace(made, source=passage.source, quote=passage.text)


def resolve_passages(lines: Iterable[GoldenLine], library: Library) -> list[Golden]:
    """The questions of a file; a question whose line names a passage gets the passage's source and text.

    Raises:
        NotFoundError: the library has no such passage.
    """
    return [with_passage(line.golden, library, line.passage_id) if line.passage_id else line.golden for line in lines]


def add_golden(engine: Engine, questions: Iterable[Golden], user: str) -> list[str]:
    """Keeps questions, in one transaction; returns their ids.

    One that is kept already gets the new answer, nuggets and tags, and counts again if it was retired; who added it,
    when, and from where stays.
    """
    made = [check_golden(question, f"the question {question.question[:60]!r}") for question in questions]
    with engine.begin() as connection:
        for question in made:
            _put(connection, question, user)
    return [question.golden_id for question in made]


def list_golden(engine: Engine, *, with_retired: bool = False) -> list[StoredGoldenQuestion]:
    """The questions that are kept, oldest first."""
    query = select(table).order_by(table.c.added_at, table.c.golden_id)
    with read_connection(engine) as connection:
        rows = connection.execute(query if with_retired else query.where(table.c.retired_at.is_(None))).all()
    return [_kept(row._mapping) for row in rows]


def retire_golden(engine: Engine, golden_id: str) -> Golden:
    """Retires a question, so that it is no longer measured; *golden_id* may be the beginning of an id.

    Raises:
        NotFoundError: no question that counts has this id, or several begin so.
    """
    found = [golden for golden in list_golden(engine) if golden.golden_id.startswith(golden_id)] if golden_id else []
    if len(found) != 1:
        reason = "several ids begin with it" if found else "there is none"
        raise NotFoundError(f'golden question {golden_id!r}: {reason}; "nightjar golden list" names them')
    with engine.begin() as connection:
        this = table.c.golden_id == found[0].golden_id
        connection.execute(update(table).where(this).values(retired_at=utc_now().isoformat()))
    return found[0].golden


def _put(connection: Connection, one: Golden, user: str) -> None:
    this = table.c.golden_id == one.golden_id
    row = _row(one)
    if connection.scalar(select(table.c.golden_id).where(this)) is None:
        connection.execute(insert(table), row | {"added_by": user, "added_at": utc_now().isoformat()})
    else:
        changed = {name: row[name] for name in ("answerable", "reference", "nuggets", "tags") if row[name] != "[]"}
        changed = {name: value for name, value in changed.items() if value != ""}
        connection.execute(update(table).where(this).values(**changed, retired_at=None))


def _row(one: Golden) -> dict[str, Any]:
    line = one.as_json()
    return {
        "golden_id": one.golden_id,
        "question": one.question,
        "answerable": int(one.is_answerable),
        "source": one.source,
        "quote": one.quote,
        "reference": one.reference,
        "nuggets": json.dumps(line.get("nuggets", []), ensure_ascii=False),
        "tags": json.dumps(line.get("tags", []), ensure_ascii=False),
        "origin": one.origin,
    }


def _kept(row: Any) -> StoredGoldenQuestion:
    line = {name: row[name] for name in ("question", "source", "quote", "reference", "origin")}
    line |= {"nuggets": json.loads(row["nuggets"]), "tags": json.loads(row["tags"])}
    golden = parse_golden(line | {"answerable": bool(row["answerable"])}, f"golden question {row['golden_id']}")
    return StoredGoldenQuestion(
        golden_id=row["golden_id"],
        golden=golden,
        added_by=row["added_by"],
        added_at=row["added_at"],
        retired_at=row["retired_at"],
    )
