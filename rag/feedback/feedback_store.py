"""What was shown, and what people said of it: turns, append-only verdict events, one standing verdict per target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine, Select, func, insert, select
from sqlalchemy.engine import Connection

from rag.database.schema import passages, read_connection, shown_passages, turns, verdict_events
from rag.database.signing import is_valid_signature, sign
from rag.errors import NotFoundError, UsageError
from rag.feedback.daily_counts import discard_counts
from rag.feedback.row_mapping import event_row, shown_from_row, shown_row, turn_from_row, turn_row
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import ANSWER_VERDICTS, PASSAGE_VERDICTS, Turn, Verdict, utc_now

WITHDRAWN_VERDICT = "withdrawn"
MAX_COMMENT_LENGTH = 2000  # characters


class FeedbackStore:
    """Turns and verdicts in SQL. Nothing is ever changed or deleted here; the latest event of a target counts."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.admit: Callable[[str], None] = lambda user: None
        """Raises if a user votes too often; the application that many use sets it."""

    # ---- turns

    def record_turn(self, turn: Turn, details: str = "") -> None:
        """Stores a turn with everything that was shown for it; *details* as of `rag.answering.stored_answers.written`."""
        self.record_turns([turn], details)

    def record_turns(self, new: Sequence[Turn], details: str = "") -> None:
        """Stores several turns in one transaction; those whose id is there already are left as they are."""
        over = {
            turn.asked_at.date() for turn in new if turn.origin == "asked" and turn.asked_at.date() < utc_now().date()
        }
        with self.engine.begin() as connection:
            discard_counts(connection, over)
            for turn in new:
                if connection.scalar(select(turns.c.turn_id).where(turns.c.turn_id == turn.turn_id)) is None:
                    connection.execute(insert(turns), turn_row(turn) | {"details": details})
                    if turn.shown:
                        connection.execute(
                            insert(shown_passages), [shown_row(turn.turn_id, shown_hit) for shown_hit in turn.shown]
                        )

    def turn(self, turn_id: str) -> Turn:
        """One turn with what was shown.

        Raises:
            NotFoundError: there is none with this id.
        """
        turn_id = replace_unstorable(turn_id)  # ids come from outside
        with read_connection(self.engine) as connection:
            row = connection.execute(select(turns).where(turns.c.turn_id == turn_id)).first()
            seen = connection.execute(
                select(shown_passages).where(shown_passages.c.turn_id == turn_id).order_by(shown_passages.c.rank)
            ).all()
        if row is None:
            raise NotFoundError(f"no turn {turn_id!r}: a verdict needs a question that was asked here")
        return turn_from_row(row._mapping, tuple(shown_from_row(shown_hit._mapping) for shown_hit in seen))

    def history(self, conversation_id: str, user: str, n: int = 10) -> list[tuple[str, str]]:
        """The last *n* questions that *user* asked in a conversation, as typed, with their answers, oldest first."""
        of_it = (turns.c.conversation_id == replace_unstorable(conversation_id)) & (turns.c.user == user)
        latest = (
            select(turns.c.question, turns.c.asked, turns.c.answer)
            .where(of_it)
            .order_by(turns.c.asked_at.desc())
            .limit(n)
        )
        with read_connection(self.engine) as connection:
            return [(row.asked or row.question, row.answer) for row in connection.execute(latest)][::-1]

    def n_turns(self, origin: Literal["asked", "imported", "simulated"] | None = None) -> int:
        """How many questions were asked, or came from *origin*."""
        query = select(func.count()).select_from(turns)
        with read_connection(self.engine) as connection:
            return int(connection.scalar(query.where(turns.c.origin == origin) if origin else query) or 0)

    # ---- verdicts

    def record_verdict(
        self, user: str, turn_id: str, passage_id: str | None, verdict: str, comment: str = ""
    ) -> Verdict:
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
        if passage_id is not None and passage_id not in {shown_hit.passage_id for shown_hit in turn.shown}:
            self._check_not_shown(turn_id, passage_id, verdict)
        given = Verdict(
            user=user,
            turn_id=turn_id,
            question=turn.question,
            passage_id=passage_id,
            verdict=verdict,
            comment=replace_unstorable(comment),
        )
        self.append([given])
        return given

    def withdraw_verdict(self, user: str, turn_id: str, passage_id: str | None) -> None:
        """Takes the standing verdict of *user* on a target back; nothing happens if there is none.

        Raises:
            TooFastError: the user votes too often.
        """
        self.admit(user)
        self.append(
            [Verdict(user=user, turn_id=turn_id, question="", passage_id=passage_id, verdict=WITHDRAWN_VERDICT)]
        )

    def append(self, given: Sequence[Verdict], *, once: bool = False) -> int:
        """Appends events that change what counts, in one transaction; returns how many did.

        With *once*, what was said before in the same words at the same time is not said again, though it may
        have been overruled since.
        """
        rows = 0
        with self.engine.begin() as connection:
            for verdict in given:
                target = (verdict.user, verdict.turn_id, verdict.passage_id or "")
                latest = connection.execute(_latest_of(*target)).first()
                unchanged = (latest.verdict, latest.comment) == (verdict.verdict, verdict.comment) if latest else False
                if unchanged or (latest is None and verdict.verdict == WITHDRAWN_VERDICT):
                    continue
                if once and connection.execute(_same_event(verdict)).first():
                    continue
                connection.execute(insert(verdict_events), event_row(verdict))
                rows += 1
        return rows

    def _check_not_shown(self, turn_id: str, passage_id: str, verdict: str) -> None:
        if verdict != "pin":
            raise UsageError(
                f"passage {passage_id!r} was not shown for turn {turn_id!r}: a verdict may only name what "
                "was shown; to name the right passage, pin it"
            )
        with read_connection(self.engine) as connection:
            known = select(passages.c.passage_id).where(passages.c.passage_id == replace_unstorable(passage_id))
            if connection.scalar(known) is None:
                raise NotFoundError(f"no passage {passage_id!r} in the library: pin one that a search finds")

    def standing(self, user: str | None = None, turn_id: str | None = None) -> list[Verdict]:
        """Every standing verdict, oldest first; *user* and *turn_id* narrow it."""
        return list(self._standing(user, turn_id))

    def _standing(self, user: str | None, turn_id: str | None) -> Iterator[Verdict]:
        target = (verdict_events.c.user, verdict_events.c.turn_id, verdict_events.c.passage_id)
        latest = select(func.max(verdict_events.c.event_id)).group_by(*target)
        query = (
            select(verdict_events, turns.c.question)
            .join(turns, turns.c.turn_id == verdict_events.c.turn_id)
            .where(verdict_events.c.event_id.in_(latest), verdict_events.c.verdict != WITHDRAWN_VERDICT)
            .order_by(verdict_events.c.event_id)
        )
        if user is not None:
            query = query.where(verdict_events.c.user == user)
        if turn_id is not None:
            query = query.where(verdict_events.c.turn_id == turn_id)
        with read_connection(self.engine) as connection:
            for row in connection.execute(query):
                yield Verdict(
                    user=row.user,
                    turn_id=row.turn_id,
                    question=row.question,
                    passage_id=row.passage_id or None,
                    verdict=row.verdict,
                    comment=row.comment,
                    given_at=datetime.fromisoformat(row.given_at),
                )

    def latest_event_id(self, before: datetime | None = None) -> int:
        """The number of the last event, 0 if there is none; it grows with everything that is said or taken back.

        With *before*, of the last one that was given by then.
        """
        query = select(func.max(verdict_events.c.event_id))
        if before is not None:
            query = query.where(verdict_events.c.given_at <= before.isoformat())
        with read_connection(self.engine) as connection:
            return int(connection.scalar(query) or 0)

    # ---- tokens

    def token(self, turn_id: str) -> str:
        """The signed proof that a turn was answered here; a verdict from outside has to carry it."""
        return sign(self.engine, turn_id)

    def check_token(self, turn_id: str, token: str) -> None:
        """Raises:
        UsageError: the token is not the one issued with this turn's answer.
        """
        if not is_valid_signature(self.engine, turn_id, token):
            raise UsageError(f"the token does not belong to turn {turn_id!r}: send the one that came with the answer")


def record_deletion(connection: Connection) -> None:
    """Appends an event without content, to be called before verdict events are deleted in the same transaction.

    Whoever watches `latest_event` sees that something changed, and no number of an event is ever given twice.
    """
    connection.execute(
        insert(verdict_events),
        event_row(Verdict(user="", turn_id="", question="", passage_id=None, verdict=WITHDRAWN_VERDICT)),
    )


def _check_verdict(verdict: str, passage_id: str | None, comment: str) -> None:
    known = PASSAGE_VERDICTS if passage_id is not None else ANSWER_VERDICTS
    if verdict not in known:
        about = "a passage" if passage_id is not None else "an answer"
        raise UsageError(f"verdict {verdict!r} is not one for {about}: use one of {', '.join(known)}")
    if len(comment) > MAX_COMMENT_LENGTH:
        raise UsageError(f"a comment of {len(comment)} characters is too long: use at most {MAX_COMMENT_LENGTH}")


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
