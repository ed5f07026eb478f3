"""What was shown, and what people said of it: turns, append-only verdict events, one standing verdict per target."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine, Select, func, insert, select
from sqlalchemy.engine import Connection

from rag.blocks import storable
from rag.database import passages, reading, shown, state, turns, verdict_events
from rag.day_counts import count_again
from rag.errors import NotFoundError, UsageError
from rag.records import ANSWER_VERDICTS, PASSAGE_VERDICTS, Shown, Turn, Verdict, now

WITHDRAWN = "withdrawn"
MAX_COMMENT = 2000  # characters

PROMISES = {
    "helpful": "Tonight this passage becomes a right answer to your question.",
    "pin": "Tonight this passage becomes the right answer to your question.",
    "not_relevant": "Tonight this passage becomes a candidate for a wrong answer; it counts once it is sure enough.",
    "outdated": "Noted as a remark on the document; the retriever does not learn from this.",
    "answer_helpful": "Tonight the passages it cites count as weakly right.",
    "answer_wrong_source": "Which passage should it have been? Mark it with “this is the right passage”.",
    "answer_wrong": "Noted for the evaluation of answers; the retriever does not learn from this.",
    "answer_not_in_documents": "Noted as a question that the documents do not answer; no passage is blamed.",
}
"""What each verdict will do, in one sentence for the person who gave it."""

PROMISES_AT_ONCE = PROMISES | {
    "helpful": "From now on this passage comes higher for questions like this one, and tonight it becomes a right "
    "answer to yours.",
    "pin": "From now on this passage comes much higher for questions like this one, and tonight it becomes the right "
    "answer to yours.",
    "not_relevant": "From now on this passage comes lower for questions like this one, and tonight it becomes a "
    "candidate for a wrong answer; it counts once it is sure enough.",
}
"""The same where votes count until tonight; see rag/until_tonight.py."""


class Feedback:
    """Turns and verdicts in SQL. Nothing is ever changed or deleted here; the latest event of a target stands."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.admit: Callable[[str], None] = lambda user: None
        """Raises where a user votes too often; the application that many use sets it."""

    # ---- turns

    def record_turn(self, turn: Turn, details: str = "") -> None:
        """Stores a turn with everything that was shown for it; *details* as of `rag.kept_answers.written`."""
        self.record_turns([turn], details)

    def record_turns(self, new: Sequence[Turn], details: str = "") -> None:
        """Stores several turns in one transaction; those whose id is there already are left as they are."""
        over = {turn.asked_at.date() for turn in new if turn.origin == "asked" and turn.asked_at.date() < now().date()}
        with self.engine.begin() as connection:
            count_again(connection, over)
            for turn in new:
                if connection.scalar(select(turns.c.turn_id).where(turns.c.turn_id == turn.turn_id)) is None:
                    connection.execute(insert(turns), _turn_row(turn) | {"details": details})
                    if turn.shown:
                        connection.execute(insert(shown), [_shown_row(turn.turn_id, one) for one in turn.shown])

    def turn(self, turn_id: str) -> Turn:
        """One turn with what was shown.

        Raises:
            NotFoundError: there is none with this id.
        """
        turn_id = storable(turn_id)  # ids come from outside
        with reading(self.engine) as connection:
            row = connection.execute(select(turns).where(turns.c.turn_id == turn_id)).first()
            seen = connection.execute(select(shown).where(shown.c.turn_id == turn_id).order_by(shown.c.rank)).all()
        if row is None:
            raise NotFoundError(f"no turn {turn_id!r}: a verdict needs a question that was asked here")
        return _turn(row._mapping, tuple(_shown(one._mapping) for one in seen))

    def history(self, conversation_id: str, user: str, n: int = 10) -> list[tuple[str, str]]:
        """The last *n* questions that *user* asked in a conversation, as typed, with their answers, oldest first."""
        of_it = (turns.c.conversation_id == storable(conversation_id)) & (turns.c.user == user)
        latest = (
            select(turns.c.question, turns.c.asked, turns.c.answer)
            .where(of_it)
            .order_by(turns.c.asked_at.desc())
            .limit(n)
        )
        with reading(self.engine) as connection:
            return [(row.asked or row.question, row.answer) for row in connection.execute(latest)][::-1]

    def n_turns(self, origin: Literal["asked", "imported", "simulated"] | None = None) -> int:
        """How many questions were asked, or came from *origin*."""
        query = select(func.count()).select_from(turns)
        with reading(self.engine) as connection:
            return int(connection.scalar(query.where(turns.c.origin == origin) if origin else query) or 0)

    # ---- verdicts

    def give(self, user: str, turn_id: str, passage_id: str | None, verdict: str, comment: str = "") -> Verdict:
        """Records what *user* says of a passage that the turn showed, or of its answer (passage_id None).

        Giving the same verdict again changes nothing. A pin may name any passage of the library: it says which
        should have been shown.

        Raises:
            NotFoundError: no such turn, or nothing in the library for a pin.
            UsageError: the verdict is unknown, the comment too long, or the passage was not shown.
            TooFastError: the user votes too often.
        """
        self.admit(user)
        turn = self.turn(turn_id)
        _check_verdict(verdict, passage_id, comment)
        if passage_id is not None and passage_id not in {one.passage_id for one in turn.shown}:
            self._check_not_shown(turn_id, passage_id, verdict)
        given = Verdict(user, turn_id, turn.question, passage_id, verdict, storable(comment))
        self.append([given])
        return given

    def withdraw(self, user: str, turn_id: str, passage_id: str | None) -> None:
        """Takes the standing verdict of *user* on a target back; nothing happens where there is none.

        Raises:
            TooFastError: the user votes too often.
        """
        self.admit(user)
        self.append([Verdict(user, turn_id, "", passage_id, WITHDRAWN)])

    def append(self, given: Sequence[Verdict], *, once: bool = False) -> int:
        """Appends events that change what stands, in one transaction; returns how many did.

        With *once*, what was said before in the same words at the same time is not said again, though it may
        have been overruled since.
        """
        rows = 0
        with self.engine.begin() as connection:
            for verdict in given:
                target = (verdict.user, verdict.turn_id, verdict.passage_id or "")
                latest = connection.execute(_latest_of(*target)).first()
                unchanged = (latest.verdict, latest.comment) == (verdict.verdict, verdict.comment) if latest else False
                if unchanged or (latest is None and verdict.verdict == WITHDRAWN):
                    continue
                if once and connection.execute(_same_event(verdict)).first():
                    continue
                connection.execute(insert(verdict_events), _event_row(verdict))
                rows += 1
        return rows

    def _check_not_shown(self, turn_id: str, passage_id: str, verdict: str) -> None:
        if verdict != "pin":
            raise UsageError(f"passage {passage_id!r} was not shown for turn {turn_id!r}: a verdict may only name what "
                             "was shown; to name the right passage, pin it")  # fmt: skip
        with reading(self.engine) as connection:
            known = select(passages.c.passage_id).where(passages.c.passage_id == storable(passage_id))
            if connection.scalar(known) is None:
                raise NotFoundError(f"no passage {passage_id!r} in the library: pin one that a search finds")

    def standing(self, user: str | None = None, turn_id: str | None = None) -> list[Verdict]:
        """Every verdict that stands, oldest first; *user* and *turn_id* narrow it."""
        return list(self._standing(user, turn_id))

    def _standing(self, user: str | None, turn_id: str | None) -> Iterator[Verdict]:
        target = (verdict_events.c.user, verdict_events.c.turn_id, verdict_events.c.passage_id)
        latest = select(func.max(verdict_events.c.event_id)).group_by(*target)
        query = (
            select(verdict_events, turns.c.question)
            .join(turns, turns.c.turn_id == verdict_events.c.turn_id)
            .where(verdict_events.c.event_id.in_(latest), verdict_events.c.verdict != WITHDRAWN)
            .order_by(verdict_events.c.event_id)
        )
        if user is not None:
            query = query.where(verdict_events.c.user == user)
        if turn_id is not None:
            query = query.where(verdict_events.c.turn_id == turn_id)
        with reading(self.engine) as connection:
            for row in connection.execute(query):
                yield Verdict(row.user, row.turn_id, row.question, row.passage_id or None, row.verdict, row.comment,
                              datetime.fromisoformat(row.given_at))  # fmt: skip

    def latest_event(self, before: datetime | None = None) -> int:
        """The number of the last event, 0 where there is none; it grows with everything that is said or taken back.

        With *before*, of the last one that was given by then.
        """
        query = select(func.max(verdict_events.c.event_id))
        if before is not None:
            query = query.where(verdict_events.c.given_at <= before.isoformat())
        with reading(self.engine) as connection:
            return int(connection.scalar(query) or 0)

    # ---- tokens

    def token(self, turn_id: str) -> str:
        """The signed proof that a turn was answered here; a verdict from outside has to carry it."""
        return hmac.new(self._secret(), turn_id.encode("utf-8", "backslashreplace"), hashlib.sha256).hexdigest()

    def check_token(self, turn_id: str, token: str) -> None:
        """Raises:
        UsageError: the token is not the one issued with this turn's answer.
        """
        if not hmac.compare_digest(self.token(turn_id).encode(), token.encode("utf-8", "backslashreplace")):
            raise UsageError(f"the token does not belong to turn {turn_id!r}: send the one that came with the answer")

    def _secret(self) -> bytes:
        """The key that signs, made at first use and kept in the database."""
        query = select(state.c.value).where(state.c.name == "signing_key")
        with reading(self.engine) as connection:
            found = connection.scalar(query)
        if found is None:
            with self.engine.begin() as connection:
                found = connection.scalar(query)  # another process may have been first
                if found is None:
                    found = secrets.token_hex(32)
                    connection.execute(insert(state).values(name="signing_key", value=found))
        return bytes.fromhex(found)


def mark_deletion(connection: Connection) -> None:
    """Appends an event without content, to be called before verdict events are deleted in the same transaction.

    Whoever watches `latest_event` sees that something changed, and no number of an event is ever given twice.
    """
    connection.execute(insert(verdict_events), _event_row(Verdict("", "", "", None, WITHDRAWN)))


def _check_verdict(verdict: str, passage_id: str | None, comment: str) -> None:
    known = PASSAGE_VERDICTS if passage_id is not None else ANSWER_VERDICTS
    if verdict not in known:
        about = "a passage" if passage_id is not None else "an answer"
        raise UsageError(f"verdict {verdict!r} is not one for {about}: use one of {', '.join(known)}")
    if len(comment) > MAX_COMMENT:
        raise UsageError(f"a comment of {len(comment)} characters is too long: use at most {MAX_COMMENT}")


def _latest_of(user: str, turn_id: str, passage_id: str) -> Select[Any]:
    return (
        select(verdict_events.c.verdict, verdict_events.c.comment)
        .where(
            verdict_events.c.user == user,
            verdict_events.c.turn_id == turn_id,
            verdict_events.c.passage_id == passage_id,
        )
        .order_by(verdict_events.c.event_id.desc())
        .limit(1)
    )


def _same_event(verdict: Verdict) -> Select[Any]:
    return select(verdict_events.c.event_id).where(
        verdict_events.c.user == verdict.user,
        verdict_events.c.turn_id == verdict.turn_id,
        verdict_events.c.passage_id == (verdict.passage_id or ""),
        verdict_events.c.verdict == verdict.verdict,
        verdict_events.c.given_at == verdict.given_at.isoformat(),
    )


def _event_row(verdict: Verdict) -> dict[str, object]:
    return {
        "user": verdict.user,
        "turn_id": verdict.turn_id,
        "passage_id": verdict.passage_id or "",
        "verdict": verdict.verdict,
        "comment": verdict.comment,
        "given_at": verdict.given_at.isoformat(),
    }


def _turn_row(turn: Turn) -> dict[str, object]:
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


def _shown_row(turn_id: str, one: Shown) -> dict[str, object]:
    return {
        "turn_id": turn_id,
        "passage_id": one.passage_id,
        "rank": one.rank,
        "score": one.score,
        "dense": one.dense,
        "lexical": one.lexical,
        "cited": int(one.cited),
    }


def _turn(row: Any, seen: tuple[Shown, ...]) -> Turn:
    return Turn(row["turn_id"], row["conversation_id"], row["user"], row["question"], row["answer"], bool(row["declined"]),
                row["encoder_id"], datetime.fromisoformat(row["asked_at"]), row["origin"], seen, row["asked"])  # fmt: skip


def _shown(row: Any) -> Shown:
    return Shown(row["passage_id"], row["rank"], row["score"], row["dense"], row["lexical"], bool(row["cited"]))
