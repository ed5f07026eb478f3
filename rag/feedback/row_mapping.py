"""Turns, what was shown for them, and verdicts ↔ their rows in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rag.records import ShownPassage, Turn, Verdict


def event_row(verdict: Verdict) -> dict[str, object]:
    """A row of `verdict_events`; without a passage it is about the answer."""
    return {
        "user": verdict.user,
        "turn_id": verdict.turn_id,
        "passage_id": verdict.passage_id or "",
        "verdict": verdict.verdict,
        "comment": verdict.comment,
        "given_at": verdict.given_at.isoformat(),
    }


def turn_row(turn: Turn) -> dict[str, object]:
    """A row of `turns`, without its details."""
    return {
        "turn_id": turn.turn_id,
        "conversation_id": turn.conversation_id,
        "user": turn.user,
        "question": turn.question,
        "answer": turn.answer,
        "declined": int(turn.declined),
        "encoder_id": turn.encoder_id,
        "origin": turn.origin,
        "asked_at": turn.asked_at.isoformat(),
        "asked": turn.asked,
    }


def shown_row(turn_id: str, one: ShownPassage) -> dict[str, object]:
    """A row of `shown`."""
    return {
        "turn_id": turn_id,
        "passage_id": one.passage_id,
        "rank": one.rank,
        "score": one.score,
        "dense": one.dense,
        "lexical": one.lexical,
        "cited": int(one.cited),
    }


def turn_from_row(row: Any, seen: tuple[ShownPassage, ...]) -> Turn:
    """The turn of a row of `turns`, with what was shown for it."""
    return Turn(
        turn_id=row["turn_id"],
        conversation_id=row["conversation_id"],
        user=row["user"],
        question=row["question"],
        answer=row["answer"],
        declined=bool(row["declined"]),
        encoder_id=row["encoder_id"],
        asked_at=datetime.fromisoformat(row["asked_at"]),
        origin=row["origin"],
        shown=seen,
        asked=row["asked"],
    )


def shown_from_row(row: Any) -> ShownPassage:
    """What one row of `shown` says."""
    return ShownPassage(
        passage_id=row["passage_id"],
        rank=row["rank"],
        score=row["score"],
        dense=row["dense"],
        lexical=row["lexical"],
        cited=bool(row["cited"]),
    )
