"""Conversations in SQL: each is its owner's alone, under a name, with the turns that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, case, delete, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from rag.accounts.erasure import FORGOTTEN_USER, delete_turns
from rag.answering.stored_answers import StoredAnswer, load_answers
from rag.database.schema import read_connection, turns, verdict_events
from rag.database.sql_batches import SQL_BATCH, batched
from rag.database.user_tables import conversations
from rag.errors import NotFoundError, UsageError
from rag.feedback.daily_counts import days_of, discard_counts
from rag.feedback.feedback_store import WITHDRAWN_VERDICT, record_deletion
from rag.library.library import Library
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import utc_now

MAX_TITLE_LENGTH = 80  # characters
MAX_ID_LENGTH = 100  # characters of an id from outside

_asked = case((turns.c.asked != "", turns.c.asked), else_=turns.c.question)
_first_question = (
    select(_asked)
    .where(turns.c.conversation_id == conversations.c.conversation_id)
    .order_by(turns.c.asked_at)
    .limit(1)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class ListedConversation:
    """A conversation as a list shows it."""

    conversation_id: str
    title: str
    """The first question, shortened, until somebody gives it another one."""
    created_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class DeletedConversation:
    """What became of a conversation's turns."""

    n_turns: int
    """That are gone."""
    n_kept: int
    """That a verdict is on: they stay for learning, in no conversation."""


class Conversations:
    """The conversations of everybody; each call sees those of one person only."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._engine = library.engine

    # ---- reading

    def of(self, user: str, limit: int = 30, offset: int = 0, words: str = "") -> list[ListedConversation]:
        """Returns the conversations of *user*, the one with the newest question first; with *words*, those that
        contain them.

        Words are looked for as they stand, whatever their case, in titles, questions and answers.
        """
        query = _listed().where(conversations.c.user == user)
        if words.strip():
            query = query.where(_says(replace_unstorable(words.strip())))
        newest = query.order_by(conversations.c.changed_at.desc(), conversations.c.conversation_id)
        with read_connection(self._engine) as connection:
            return [_one(row) for row in connection.execute(newest.limit(limit).offset(offset))]

    def get(self, conversation_id: str, user: str) -> ListedConversation:
        """One of them.

        Raises:
            NotFoundError: *user* has none with this id, whoever else may.
        """
        with read_connection(self._engine) as connection:
            row = connection.execute(_listed().where(_is(conversation_id, user))).first()
        if row is None:
            raise NotFoundError(
                f"no conversation {conversation_id[:MAX_ID_LENGTH]!r} of yours: it was deleted, or is somebody else's"
            )
        return _one(row)

    def exchanges(self, conversation_id: str, user: str, n: int = 50) -> list[StoredAnswer]:
        """The last *n* questions and answers, oldest first.

        Raises:
            NotFoundError: *user* has no such conversation.
        """
        self.get(conversation_id, user)
        of_it = (turns.c.conversation_id == replace_unstorable(conversation_id)) & (turns.c.user == user)
        latest = select(turns.c.turn_id).where(of_it).order_by(turns.c.asked_at.desc()).limit(n)
        with read_connection(self._engine) as connection:
            turn_ids = list(connection.scalars(latest))[::-1]
        return load_answers(self._library, turn_ids)

    # ---- changing

    def enter(self, conversation_id: str, user: str, question: str) -> None:
        """Begins a conversation with its first question, or says that something was asked in it again.

        Raises:
            NotFoundError: the conversation is somebody else's.
            UsageError: the id is too long.
        """
        if not conversation_id or len(conversation_id) > MAX_ID_LENGTH:
            raise UsageError(
                f"a conversation's id has 1 to {MAX_ID_LENGTH} characters, this one {len(conversation_id):,}"
            )
        at = utc_now().isoformat()
        with self._engine.begin() as connection:
            owner = connection.scalar(
                select(conversations.c.user).where(
                    conversations.c.conversation_id == replace_unstorable(conversation_id)
                )
            )
            if owner is None:
                connection.execute(
                    insert(conversations).values(
                        conversation_id=replace_unstorable(conversation_id),
                        user=user,
                        title=make_title(question),
                        created_at=at,
                        changed_at=at,
                    )
                )
                return
            _check_changed(
                connection.execute(
                    update(conversations).where(_is(conversation_id, user)).values(changed_at=at)
                ).rowcount,
                conversation_id,
            )

    def rename(self, conversation_id: str, user: str, title: str) -> None:
        """Gives it another title; an empty one brings the first question back.

        Raises:
            NotFoundError: *user* has no such conversation.
        """
        renamed = update(conversations).where(_is(conversation_id, user)).values(title=make_title(title))
        with self._engine.begin() as connection:
            _check_changed(connection.execute(renamed).rowcount, conversation_id)

    def delete(self, conversation_id: str, user: str, *, votes_too: bool = False) -> DeletedConversation:
        """Removes it, in one transaction, with every turn that no verdict is on; the others stay for learning.

        With *votes_too* what *user* said of these turns goes first. A turn that somebody else judged stays then, as
        nobody's, with its question alone.

        Raises:
            NotFoundError: *user* has no such conversation.
        """
        with self._engine.begin() as connection:
            gone = delete(conversations).where(_is(conversation_id, user))
            _check_changed(connection.execute(gone).rowcount, conversation_id)
            of_it = (turns.c.conversation_id == replace_unstorable(conversation_id)) & (turns.c.user == user)
            rows = connection.execute(select(turns.c.turn_id, turns.c.question).where(of_it))
            asked = {row.turn_id: row.question for row in rows}
            if votes_too:
                _forget_verdicts(connection, list(asked), user)
            judged = _judged(connection, list(asked))
            alone = {turn_id: question for turn_id, question in asked.items() if turn_id not in judged}
            _forget_verdicts(connection, list(alone))
            delete_turns(connection, alone)
            left: dict[str, Any] = {"conversation_id": turns.c.turn_id}
            if votes_too:
                discard_counts(connection, days_of(connection, of_it))
                left |= {"user": FORGOTTEN_USER, "answer": "", "asked": "", "details": ""}
            connection.execute(update(turns).where(of_it).values(left))
        return DeletedConversation(len(alone), len(judged))


def make_title(question: str) -> str:
    """A question in one line that fits a list.

    >>> make_title(" Who can get\\n the grant? "), len(make_title("word " * 40)) <= MAX_TITLE_LENGTH
    ('Who can get the grant?', True)
    """
    line = " ".join(replace_unstorable(question).split())
    if len(line) <= MAX_TITLE_LENGTH:
        return line
    cut = line[: MAX_TITLE_LENGTH - 1]
    return (cut[: cut.rfind(" ")] if " " in cut[MAX_TITLE_LENGTH // 2 :] else cut) + "…"


def _listed() -> Select[Any]:
    title = case((conversations.c.title != "", conversations.c.title), else_=func.coalesce(_first_question, ""))
    return select(
        conversations.c.conversation_id, title.label("title"), conversations.c.created_at, conversations.c.changed_at
    )


def _one(row: Any) -> ListedConversation:
    return ListedConversation(row.conversation_id, make_title(row.title), row.created_at, row.changed_at)


def _is(conversation_id: str, user: str) -> ColumnElement[bool]:
    return (conversations.c.conversation_id == replace_unstorable(conversation_id)) & (conversations.c.user == user)


def _says(words: str) -> ColumnElement[bool]:
    """Beyond ASCII, SQLite's lower() leaves letters as they are: hence the words in several cases."""
    cases = {words, words.lower(), words.upper(), words.title()}

    def holds(*columns: Any) -> ColumnElement[bool]:
        return or_(*(column.icontains(case, autoescape=True) for column in columns for case in sorted(cases)))

    in_turns = select(turns.c.conversation_id).where(
        turns.c.user == conversations.c.user, holds(turns.c.question, turns.c.asked, turns.c.answer)
    )
    return or_(holds(conversations.c.title), conversations.c.conversation_id.in_(in_turns))


def _check_changed(n_rows: int, conversation_id: str) -> None:
    if n_rows == 0:
        raise NotFoundError(
            f"no conversation {conversation_id[:MAX_ID_LENGTH]!r} of yours: it was deleted, or is somebody else's"
        )


def _judged(connection: Connection, turn_ids: Sequence[str]) -> set[str]:
    """Returns the turns that somebody has voted on."""
    event = verdict_events.c
    found: set[str] = set()
    for batch in batched(turn_ids, SQL_BATCH):
        latest = select(func.max(event.event_id)).where(event.turn_id.in_(batch))
        latest = latest.group_by(event.user, event.turn_id, event.passage_id)
        standing = select(event.turn_id).where(event.event_id.in_(latest), event.verdict != WITHDRAWN_VERDICT)
        found.update(connection.scalars(standing))
    return found


def _forget_verdicts(connection: Connection, turn_ids: Sequence[str], user: str | None = None) -> None:
    """Deletes what was said of these turns, by *user* or by anybody."""
    events = [verdict_events.c.turn_id.in_(batch) for batch in batched(turn_ids, SQL_BATCH)]
    by_user = [which & (verdict_events.c.user == user) for which in events] if user is not None else events
    for which in by_user:
        if connection.scalar(select(verdict_events.c.event_id).where(which).limit(1)) is not None:
            record_deletion(connection)
            connection.execute(delete(verdict_events).where(which))
