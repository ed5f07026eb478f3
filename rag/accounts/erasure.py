"""Forgetting a person: what they asked and said goes out of the database, and the next night never saw it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.engine import Connection

from rag.accounts.accounts import check_not_last_administrator
from rag.database.schema import shown_passages, turns, vectors, verdict_events
from rag.database.sql_batches import SQL_BATCH, batched
from rag.database.user_tables import comparisons, conversations, golden_questions, people, reviews
from rag.errors import NotFoundError
from rag.feedback.daily_counts import days_of, discard_counts
from rag.records import sha256_of

FORGOTTEN_USER = "forgotten"
"""Who asked a turn that stays because others judged it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureCounts:
    """What was, or would be, removed."""

    n_verdicts: int
    """Events, also those that no longer stood."""
    n_turns: int
    """Questions that they alone asked and judged, with the answers and with what was shown."""
    n_turns_kept: int
    """Questions of theirs that others judged: the text stays, without answer and name."""
    n_question_vectors: int
    first_at: str | None
    """Of their verdicts and reviews, ISO-8601: versions made after it may have learned from them."""
    n_reviews: int = 0
    """What they decided of doubtful negatives, and what others decided of them for questions that nobody asks any more."""
    n_conversations: int = 0
    n_comparisons: int = 0
    """Of two versions, side by side."""
    has_account: bool = False
    """With its sessions and tokens."""


def erase_user_data(engine: Engine, user: str, *, dry_run: bool = False) -> ErasureCounts:
    """Removes, in one transaction, the verdicts, reviews and comparisons of *user*, the turns they asked, and these
    questions' vectors.

    Their account goes too, with sessions, tokens, conversations and whatever else they decided. Golden questions that
    they added stay, without their name.

    A turn on which somebody else's verdict is, or stood, is that person's data too: it stays, with the question
    but without the answer, as one that NOBODY asked. With *dry_run* nothing is changed. Versions that learned from the
    verdicts stay until a night or a rollback replaces them; backups and files that were exported stay as well.

    Raises:
        NotFoundError: nobody of this name asked or judged anything, or has an account.
        UsageError: they are the last administrator.
    """
    with engine.begin() as connection:
        by_them = select(turns.c.turn_id, turns.c.question).where(turns.c.user == user)
        asked = {row.turn_id: row.question for row in connection.execute(by_them)}
        times = list(connection.scalars(select(verdict_events.c.given_at).where(verdict_events.c.user == user)))
        decided = list(connection.scalars(select(reviews.c.decided_at).where(reviews.c.user == user)))
        others = _n_others(connection, user)
        if not (asked or times or any(others) or _n_reviews(connection, user)):
            raise NotFoundError(
                f'nobody named {user!r} asked or judged anything, or has an account: "nightjar people" '
                'and "nightjar accounts list" list who did, and who has'
            )
        check_not_last_administrator(connection, user)
        shared = _judged_by_others(connection, user, asked)
        alone = {turn_id: question for turn_id, question in asked.items() if turn_id not in shared}
        unused = _unused_questions(connection, alone)
        n_vectors = _question_vectors(connection, [sha256_of(question) for question in unused], remove=not dry_run)
        n_reviews = _n_reviews(connection, user, unused, remove=not dry_run)
        if not dry_run:
            connection.execute(delete(verdict_events).where(verdict_events.c.user == user))
            discard_counts(connection, days_of(connection, turns.c.user == user))
            _remove_turns(connection, list(alone))
            connection.execute(update(turns).where(turns.c.user == user).values(_NAMELESS))
            for table, column in _OF_A_PERSON:
                connection.execute(delete(table).where(column == user))
            connection.execute(
                update(golden_questions).where(golden_questions.c.added_by == user).values(added_by=FORGOTTEN_USER)
            )
    return ErasureCounts(
        n_verdicts=len(times),
        n_turns=len(alone),
        n_turns_kept=len(shared),
        n_question_vectors=n_vectors,
        first_at=min(times + decided, default=None),
        n_reviews=n_reviews,
        n_conversations=others[0],
        n_comparisons=others[1],
        has_account=bool(others[2]),
    )


_NAMELESS = {"user": FORGOTTEN_USER, "answer": "", "asked": "", "details": ""}
_OF_A_PERSON = ((conversations, conversations.c.user), (comparisons, comparisons.c.user), (people, people.c.name))
"""What goes next to turns, verdicts and reviews. Sessions and tokens go with the account: the database sees to that."""


def _n_others(connection: Connection, user: str) -> list[int]:
    """How many rows of theirs each of these tables has."""
    return [
        int(connection.scalar(select(func.count()).select_from(table).where(column == user)) or 0)
        for table, column in _OF_A_PERSON
    ]


def delete_turns(connection: Connection, questions: Mapping[str, str]) -> None:
    """Removes turns, given as id → question, with what was shown for them.

    Vectors and reviews of questions that nobody else asks go too.
    """
    unused = _unused_questions(connection, questions)
    _question_vectors(connection, [sha256_of(question) for question in unused], remove=True)
    for batch in batched(unused, SQL_BATCH):
        connection.execute(delete(reviews).where(reviews.c.question.in_(batch)))
    for batch in batched(list(questions), SQL_BATCH):
        discard_counts(connection, days_of(connection, turns.c.turn_id.in_(batch)))
    _remove_turns(connection, list(questions))


def _judged_by_others(connection: Connection, user: str, turn_ids: Collection[str]) -> set[str]:
    query = select(verdict_events.c.turn_id).where(verdict_events.c.user != user).distinct()
    return {
        turn_id
        for batch in batched(sorted(turn_ids), SQL_BATCH)
        for turn_id in connection.scalars(query.where(verdict_events.c.turn_id.in_(batch)))
    }


def _unused_questions(connection: Connection, alone: Mapping[str, str]) -> list[str]:
    """The questions that no other turn asks in the same words."""
    questions = sorted(set(alone.values()))
    still_asked = {
        question
        for batch in batched(questions, SQL_BATCH)
        for turn_id, question in connection.execute(
            select(turns.c.turn_id, turns.c.question).where(turns.c.question.in_(batch))
        )
        if turn_id not in alone
    }
    return [question for question in questions if question not in still_asked]


def _question_vectors(connection: Connection, hashes: list[str], *, remove: bool) -> int:
    """How many vectors of these questions there are, by all versions; with *remove*, they go."""
    n = 0
    for batch in batched(hashes, SQL_BATCH):
        theirs = vectors.c.passage_side.like("questions:%") & vectors.c.text_sha256.in_(batch)
        n += len(list(connection.scalars(select(vectors.c.text_sha256).where(theirs))))
        if remove:
            connection.execute(delete(vectors).where(theirs))
    return n


def _n_reviews(connection: Connection, user: str, questions: Sequence[str] = (), *, remove: bool = False) -> int:
    """How many reviews are this person's or name one of the *questions*; with *remove*, they go."""
    conditions = [reviews.c.user == user, *(reviews.c.question.in_(batch) for batch in batched(questions, SQL_BATCH))]
    found: set[int] = set()
    for theirs in conditions:
        found.update(connection.scalars(select(reviews.c.review_id).where(theirs)))
        if remove:
            connection.execute(delete(reviews).where(theirs))
    return len(found)


def _remove_turns(connection: Connection, turn_ids: list[str]) -> None:
    for batch in batched(turn_ids, SQL_BATCH):
        connection.execute(delete(shown_passages).where(shown_passages.c.turn_id.in_(batch)))
        connection.execute(delete(turns).where(turns.c.turn_id.in_(batch)))
