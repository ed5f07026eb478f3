"""What was asked on each day, counted once: a day that is over is kept as one row, and read again instead of its turns.

A turn whose day is kept may still change: somebody is forgotten, a conversation deleted, an answer ends after midnight.
Whoever writes that calls `count_again` in the same transaction. What people say of answers is not kept, because it comes later.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Float,
    Integer,
    Select,
    case,
    cast,
    delete,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection

from rag.database.schema import app_state, read_connection, turns

HISTOGRAM_BINS_PER_DECADE = 200
"""Up to 2 s times are told to 10 ms, beyond to 100 ms."""
DAY_CLOSES_AFTER = timedelta(hours=1)
"""After midnight, in UTC: answers that began before it have ended by then, and clocks of several machines agree so far."""
TURNS_PER_BATCH = 100_000  # that are counted between two looks at who waits: a second of one core
ADVISORY_LOCK_ID = 20261125  # of PostgreSQL's advisory locks; SQLite has one writer anyway
_NAME = "asked_on:"
_CHANGES = "asked_on_changes"


@dataclass(slots=True, kw_only=True)
class DayCount:
    """The counts of one day, or of several together."""

    n_asked: int = 0
    """Questions of people; none that was simulated, imported or asked in a comparison."""
    n_declined: int = 0
    n_checked: int = 0
    """Answers whose support was kept."""
    support: float = 0.0
    """Sum of the supported shares."""
    seconds: Counter[int] = field(default_factory=Counter)
    """`_bin` → questions, of those whose time was kept."""

    def __add__(self, other: DayCount) -> DayCount:
        return DayCount(
            n_asked=self.n_asked + other.n_asked,
            n_declined=self.n_declined + other.n_declined,
            n_checked=self.n_checked + other.n_checked,
            support=self.support + other.support,
            seconds=self.seconds + other.seconds,
        )


def days_between(first: date, last: date) -> list[date]:
    """Yields the days from the first to the last, both inclusive.

    >>> [str(day) for day in days_between(date(2026, 2, 28), date(2026, 3, 1))]
    ['2026-02-28', '2026-03-01']
    """
    return [first + timedelta(n) for n in range((last - first).days + 1)]


# ---- reading


def last_closed_day(now: datetime) -> date:
    """The last day whose questions are all answered.

    >>> str(last_closed_day(datetime(2026, 11, 25, 0, 59))), str(last_closed_day(datetime(2026, 11, 25, 1)))
    ('2026-11-23', '2026-11-24')
    """
    return (now - DAY_CLOSES_AFTER).date() - timedelta(1)


def count_days(engine: Engine, days: Sequence[date], now: datetime | None = None) -> Iterator[dict[date, DayCount]]:
    """Yields the counts of *days*, which ascend: first the stored ones, then some of the other days at a time.

    Those that are over at *now* are kept for the next time.
    """
    over = last_closed_day(now or datetime.now(UTC))
    with read_connection(engine) as connection:
        kept = _kept(connection, days)
        pieces = list(_pieces([day for day in days if day not in kept], connection))
    yield kept
    for piece in pieces:
        with read_connection(engine) as connection:
            changes = _changes(connection)  # before the turns: so a change between the two is seen as one
            counted = _counted(connection, piece)
        _keep(engine, {day: count for day, count in counted.items() if day <= over}, changes)
        yield counted


def _pieces(days: Sequence[date], connection: Connection) -> Iterator[list[date]]:
    """The days in runs without a gap, of TURNS_AT_ONCE turns at most if they have more than one day."""
    n_turns = _n_turns(connection, days[0], days[-1]) if days else {}
    some: list[date] = []
    for day in days:
        is_next = bool(some) and day - some[-1] == timedelta(1)
        if some and not (is_next and sum(n_turns.get(count, 0) for count in (*some, day)) <= TURNS_PER_BATCH):
            yield some
            some = []
        some.append(day)
    if some:
        yield some


def _n_turns(connection: Connection, first: date, last: date) -> dict[date, int]:
    """How many turns each day has, whoever asked: the index knows."""
    day = func.substr(turns.c.asked_at, 1, 10).label("day")
    query = select(day, func.count().label("n")).where(*asked_between(first, last)).group_by(day)
    return {date.fromisoformat(row.day): row.n for row in connection.execute(query)}


def _kept(connection: Connection, days: Sequence[date]) -> dict[date, DayCount]:
    rows = connection.execute(
        select(app_state).where(app_state.c.name >= _name(min(days)), app_state.c.name <= _name(max(days)))
    )
    kept = {date.fromisoformat(row.name.removeprefix(_NAME)): row.value for row in rows}
    return {day: _read(kept[day]) for day in days if day in kept}


def _written(count: DayCount) -> str:
    return json.dumps({name: getattr(count, name) for name in DayCount.__slots__})


def _read(value: str) -> DayCount:
    """
    >>> _read(_written(DayCount(n_asked=2, seconds=Counter({30: 2})))).seconds
    Counter({30: 2})
    """
    told = json.loads(value)
    return DayCount(**told | {"seconds": Counter({int(bin_number): n for bin_number, n in told["seconds"].items()})})


def _name(day: date) -> str:
    return f"{_NAME}{day}"


# ---- counting


def _counted(connection: Connection, days: Sequence[date]) -> dict[date, DayCount]:
    """By one pass over the turns of *days*, which follow each other."""
    found = {day: DayCount() for day in days}
    for row in connection.execute(_by_day(connection, days[0], days[-1])):
        seconds = Counter({row.bin: row.n_asked} if row.bin is not None else {})
        found[date.fromisoformat(row.day)] += DayCount(
            n_asked=row.n_asked,
            n_declined=row.n_declined,
            n_checked=row.n_checked,
            support=row.support or 0.0,
            seconds=seconds,
        )
    return found


def _by_day(connection: Connection, first: date, last: date) -> Select[Any, Any, Any]:
    """By day and time, so that a median costs no sorting of a million numbers.

    An answer that is none has no sentence to support. OFFSET 0 keeps both databases from putting the two queries into one:
    then they would look each number up wherever it is, which takes 2.4 times as long.
    """
    share, seconds = _detail(connection, "supported_share"), _detail(connection, "seconds")
    day = func.substr(turns.c.asked_at, 1, 10).label("day")
    asked = (turns.c.origin == "asked", *asked_between(first, last))
    numbers = select(day, turns.c.declined, share.label("share"), seconds.label("seconds")).where(*asked)
    each = numbers.offset(0).subquery()
    answered, place = case((each.c.declined == 0, each.c.share)), _bin(each.c.seconds)
    return select(
        each.c.day,
        place,
        func.count().label("n_asked"),
        func.sum(each.c.declined).label("n_declined"),
        func.count(answered).label("n_checked"),
        func.sum(answered).label("support"),
    ).group_by(each.c.day, place)


def asked_between(first: date, last: date) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Turns of these days. Times are ISO-8601 in UTC, so a day is the beginning of all its times in any sort order."""
    return turns.c.asked_at >= str(first), turns.c.asked_at < str(last + timedelta(1))


def _bin(seconds: ColumnElement[float | None]) -> ColumnElement[int]:
    """The time rounded: to 10 ms up to FINE of them, and to 100 ms beyond."""
    fine = seconds * 100 <= HISTOGRAM_BINS_PER_DECADE
    coarse = HISTOGRAM_BINS_PER_DECADE + func.round((seconds - HISTOGRAM_BINS_PER_DECADE / 100) * 10)
    return cast(case((fine, func.round(seconds * 100)), else_=coarse), Integer).label("bin")


def _detail(connection: Connection, name: str) -> ColumnElement[float | None]:
    """A number of the JSON that was kept with a turn; null if none was."""
    kept = func.nullif(turns.c.details, "")
    if connection.dialect.name == "postgresql":
        return cast(cast(kept, JSONB)[name].astext, Float)
    return type_coerce(func.json_extract(kept, f"$.{name}"), Float)


# ---- keeping


def discard_counts(connection: Connection, days: Collection[date]) -> None:
    """Drops what was kept of *days*, in the transaction that changes their turns."""
    if not days:
        return
    _lock(connection)
    changes = str(_changes(connection) + 1)
    connection.execute(delete(app_state).where(app_state.c.name.in_([_CHANGES, *map(_name, days)])))
    connection.execute(insert(app_state).values(name=_CHANGES, value=changes))


def days_of(connection: Connection, which: ColumnElement[bool]) -> set[date]:
    """The days of the questions for which *which*, of a turn, is true."""
    day = func.substr(turns.c.asked_at, 1, 10)
    return {date.fromisoformat(closed_day) for closed_day in connection.scalars(select(day).where(which).distinct())}


def _keep(engine: Engine, counts: Mapping[date, DayCount], changes: int) -> None:
    """Keeps what was counted, unless somebody has changed turns since *changes* was read."""
    if not counts:
        return
    with engine.begin() as connection:
        _lock(connection)
        if _changes(connection) == changes:
            connection.execute(delete(app_state).where(app_state.c.name.in_(map(_name, counts))))
            rows = [{"name": _name(day), "value": _written(count)} for day, count in counts.items()]
            connection.execute(insert(app_state), rows)


def _changes(connection: Connection) -> int:
    """How often turns of a day that was over have changed."""
    return int(connection.scalar(select(app_state.c.value).where(app_state.c.name == _CHANGES)) or 0)


def _lock(connection: Connection) -> None:
    """Until the transaction ends nobody else keeps counts or drops them: else a count from before a change could stay."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK_ID})")
