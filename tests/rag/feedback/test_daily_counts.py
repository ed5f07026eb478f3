"""Days are counted once: the numbers are those of counting every turn, and whatever changes a turn is seen."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, event, select, update

from rag.accounts.erasure import erase_user_data
from rag.answering.conversations import Conversations
from rag.database.schema import app_state, read_connection, turns
from rag.feedback.daily_counts import DayCount, count_days, days_between
from rag.feedback.feedback_store import FeedbackStore
from rag.insights.usage_over_time import SPANS_DAYS, UsageOverTime, usage_over_time
from rag.library.library import Library
from rag.records import Turn
from tests.rag.database.test_schema import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]  # fixtures of the other file
DAY = date(2026, 3, 1)
NEXT = DAY + timedelta(1)
LATER = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Engine]:
    return request.getfixturevalue("engine" if request.param == "sqlite" else "postgres")


def ask(engine: Engine, name: str, at: datetime, user: str = "ann", details: str = "", **more: str) -> None:
    declined = bool(more.pop("declined", ""))
    turn = Turn(
        turn_id=name,
        conversation_id=more.get("conversation", name),
        user=user,
        question=f"q {name}",
        answer="a",
        declined=declined,
        encoder_id="e",
        asked_at=at,
        origin=more.get("origin", "asked"),
    )  # type: ignore[arg-type] - a word of the closed set
    FeedbackStore(engine).record_turn(turn, details)


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def counted(engine: Engine, days: Sequence[date], now: datetime = LATER) -> dict[date, DayCount]:
    return {day: count for counts in count_days(engine, days, now) for day, count in counts.items()}


def n_asked(engine: Engine) -> list[int]:
    found = counted(engine, [DAY, NEXT])
    return [found[DAY].n_asked, found[NEXT].n_asked]


# ---- the numbers


def fill(engine: Engine, today: date, seed: int) -> list[dict]:
    """Turns of 190 days, some without details, some with a verdict or two that may be taken back; what was asked."""
    draw, feedback, asked = random.Random(seed), FeedbackStore(engine), []
    for number in range(160):
        when = at(today, 23) - timedelta(
            days=draw.choice((draw.randrange(7), draw.randrange(190))), hours=draw.randrange(24)
        )
        kept = {"seconds": draw.uniform(0, 4), "supported_share": draw.choice((0.0, 0.5, 1.0))}
        details = json.dumps(kept) if draw.random() < 0.8 else ""
        origin = draw.choice(("asked", "asked", "asked", "imported"))
        declined = draw.choice(("", "", "yes"))
        ask(engine, f"{number}", when, details=details, origin=origin, declined=declined)
        said = None
        for _ in range(draw.randrange(4)):
            said = draw.choice(("answer_helpful", "answer_wrong", "answer_not_in_documents", None))
            feedback.record_verdict("bob", f"{number}", None, said) if said else feedback.withdraw_verdict(
                "bob", f"{number}", None
            )
        if origin == "asked":
            asked.append({"day": when.date(), "declined": bool(declined), "said": said} | (kept if details else {}))
    return asked


def by_hand(asked: list[dict], first: date, last: date) -> tuple:
    """What a stretch says, by looking at each turn."""
    there = [question for question in asked if first <= question["day"] <= last]
    seconds = sorted(question["seconds"] for question in there if "seconds" in question)
    shares = [
        question["supported_share"] for question in there if "supported_share" in question and not question["declined"]
    ]
    median = seconds[(len(seconds) - 1) // 2] if seconds else None
    return (
        len(there),
        sum(question["declined"] for question in there),
        sum(question["said"] == "answer_helpful" for question in there),
        sum(question["said"] not in ("answer_helpful", None) for question in there),
        len(shares),
        pytest.approx(sum(shares) / len(shares)) if shares else None,
        len(seconds),
        pytest.approx(median, abs=0.006 if median <= 2 else 0.051) if seconds else None,
    )


def told(found: UsageOverTime) -> list[tuple]:
    return [
        (
            period.n_asked,
            period.n_declined,
            period.n_liked,
            period.n_disliked,
            period.n_checked,
            period.supported_share,
            period.n_timed,
            period.p50_s,
        )
        for period in (*found.periods, found.whole, found.before)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_numbers_are_those_of_looking_at_each_turn_counted_now_or_before(database: Engine, seed: int) -> None:
    today = date(2026, 3, 20)
    asked = fill(database, today, seed)
    for _ in range(2):
        for span in SPANS_DAYS:
            found = usage_over_time(database, span, today)
            expected = [
                by_hand(asked, period.first, period.last) for period in (*found.periods, found.whole, found.before)
            ]
            assert told(found) == expected


# ---- what is kept


def test_a_day_that_is_over_is_not_read_again(engine: Engine) -> None:
    ask(engine, "1", at(DAY))
    assert n_asked(engine) == [1, 0]
    with engine.begin() as connection:
        connection.execute(delete(turns))  # by nobody who says so
    assert n_asked(engine) == [1, 0]


def test_a_day_is_over_an_hour_after_midnight(engine: Engine) -> None:
    for hour, expected in ((0, set()), (1, {f"asked_on:{DAY}"})):
        counted(engine, [DAY, NEXT], at(NEXT, hour))
        assert kept(engine) == expected


def kept(engine: Engine) -> set[str]:
    with read_connection(engine) as connection:
        return set(connection.scalars(select(app_state.c.name).where(app_state.c.name.like("asked_on:%"))))


def test_days_around_one_that_is_kept_are_counted(engine: Engine) -> None:
    days = days_between(DAY - timedelta(2), DAY + timedelta(2))
    for day in days:
        ask(engine, f"{day}", at(day))
    counted(engine, [DAY])
    assert [count.n_asked for _, count in sorted(counted(engine, days).items())] == [1] * 5


# ---- what changes a day that is kept


def test_an_answer_that_ends_after_midnight_is_counted_on_its_day(database: Engine) -> None:
    assert n_asked(database) == [0, 0]
    ask(database, "late", at(DAY, 23))
    assert n_asked(database) == [1, 0]


def test_what_a_person_asked_is_counted_no_more_once_they_are_forgotten(database: Engine) -> None:
    details = json.dumps({"seconds": 1.0, "supported_share": 1.0})
    for number, user in enumerate(("ann", "ann", "bob")):
        ask(database, f"{number}", at(DAY), user, details)
    FeedbackStore(database).record_verdict(
        "bob", "0", None, "answer_helpful"
    )  # so it stays, without what was kept of the answer
    assert counted(database, [DAY])[DAY].n_checked == 3
    erase_user_data(database, "ann")
    left = counted(database, [DAY])[DAY]
    assert (left.n_asked, left.n_checked, left.seconds.total()) == (2, 1, 1)


def test_a_dry_run_of_forgetting_leaves_what_was_counted(engine: Engine) -> None:
    ask(engine, "1", at(DAY))
    n_asked(engine)
    erase_user_data(engine, "ann", dry_run=True)
    assert f"asked_on:{DAY}" in kept(engine)


@pytest.mark.parametrize(("votes_too", "left"), [(False, (1, 1)), (True, (1, 0))])
def test_a_conversation_that_is_deleted_leaves_what_is_judged(
    database: Engine, votes_too: bool, left: tuple[int, int]
) -> None:
    conversations = Conversations(Library(database))
    conversations.enter("c", "ann", "q")
    for name in ("1", "2"):
        ask(database, name, at(DAY), details=json.dumps({"seconds": 1.0, "supported_share": 1.0}), conversation="c")
    FeedbackStore(database).record_verdict("bob", "1", None, "answer_helpful")
    assert n_asked(database) == [2, 0]
    conversations.delete("c", "ann", votes_too=votes_too)
    count = counted(database, [DAY])[DAY]
    assert (count.n_asked, count.n_checked) == left


def test_what_changes_while_it_is_counted_is_not_kept(engine: Engine) -> None:
    """Somebody is forgotten after their turns were read and before the count of them is written."""
    ask(engine, "1", at(DAY))
    read = []

    @event.listens_for(engine, "after_cursor_execute")
    def forget(connection, cursor, statement, *_rest) -> None:
        if "json_extract" in statement and not read:
            read.append(statement)
            erase_user_data(engine, "ann")

    assert n_asked(engine) == [1, 0], "as it was when it was read"
    assert read
    assert n_asked(engine) == [0, 0]


def test_imported_turns_count_nothing_again(engine: Engine) -> None:
    ask(engine, "1", at(DAY))
    n_asked(engine)
    with engine.begin() as connection:
        connection.execute(update(turns).values(declined=1))  # so it would be seen
    ask(engine, "2", at(DAY), origin="imported")
    assert counted(engine, [DAY])[DAY].n_declined == 0
