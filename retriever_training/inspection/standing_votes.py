"""The votes on passages that count today, with what was shown when they were given; the latest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, func, select

from rag.database.schema import read_connection, shown_passages, turns, verdict_events
from retriever_training.judgments.splits import normalise_question

RANKING_VERDICTS = ("pin", "helpful", "not_relevant")
"""The verdicts that say whether a passage should rank higher or lower."""
MAX_VOTES = 5_000  # the latest ones are read


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingVote:
    """The same verdict of one or several people on a passage for a question."""

    question: str
    """As it was searched for."""
    passage_id: str
    verdict: str
    """One of `RANKING_VERDICTS`."""
    users: frozenset[str]
    given_at: datetime
    """When the latest vote was given."""
    event_id: int
    """The id of the earliest vote: once a night has learned from it, the question counts."""
    asked_at: datetime
    encoder_id: str
    """The version that answered; empty if nothing was asked here."""
    shown_rank: int | None
    """The rank when the first person voted, 1-based; None if the passage was not shown."""
    n_shown: int
    """How many passages were shown then; 0 if none were, as for imported votes."""
    n_votes: int = 1


def load_standing_votes(engine: Engine, user: str | None = None) -> list[StandingVote]:
    """Returns the latest votes of *user*, or of everybody if that is None, the latest question first.

    A person's last verdict on a question and passage counts, with the rank that was shown when it was first given; for
    several people who agree, the rank that was shown to the first.
    """
    with read_connection(engine) as connection:
        rows = list(connection.execute(_standing(user)))
    last_word: dict[tuple[str, str, str], str] = {}
    for row in rows:  # latest first
        last_word.setdefault((row.user, normalise_question(row.question), row.passage_id), row.verdict)
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for row in rows:
        key = normalise_question(row.question), row.passage_id
        if last_word[(row.user, *key)] == row.verdict:
            groups.setdefault((*key, row.verdict), []).append(row)
    return [_together(rows) for rows in groups.values()]


def _together(rows: Iterable[Any]) -> StandingVote:
    latest, *_ = rows = list(rows)
    first = rows[-1]
    users = frozenset(row.user for row in rows)
    return StandingVote(
        question=first.question,
        passage_id=first.passage_id,
        verdict=first.verdict,
        users=users,
        given_at=datetime.fromisoformat(latest.given_at),
        event_id=first.event_id,
        asked_at=datetime.fromisoformat(first.asked_at),
        encoder_id=first.encoder_id,
        shown_rank=first.rank,
        n_shown=first.n_shown,
        n_votes=len(users),
    )


def _standing(user: str | None) -> Select[Any, Any, Any]:
    event = verdict_events.c
    latest = select(func.max(event.event_id)).where(event.passage_id != "")
    latest = latest.group_by(event.user, event.turn_id, event.passage_id)
    if user is not None:
        latest = latest.where(event.user == user)
    n_shown = (
        select(func.count())
        .where(shown_passages.c.turn_id == event.turn_id)
        .correlate(verdict_events)
        .scalar_subquery()
    )
    return (
        select(
            event.event_id,
            event.user,
            event.passage_id,
            event.verdict,
            event.given_at,
            turns.c.question,
            turns.c.asked_at,
            turns.c.encoder_id,
            shown_passages.c.rank,
            n_shown.label("n_shown"),
        )
        .join(turns, turns.c.turn_id == event.turn_id)
        .outerjoin(
            shown_passages,
            (shown_passages.c.turn_id == event.turn_id) & (shown_passages.c.passage_id == event.passage_id),
        )
        .where(event.event_id.in_(latest), event.verdict.in_(RANKING_VERDICTS))
        .order_by(event.event_id.desc())
        .limit(MAX_VOTES)
    )
