"""How the answers did over time: asked, declined, liked, supported, and how fast; counted in SQL, however many turns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any, Literal

from sqlalchemy import ColumnElement, Engine, Float, Integer, Select, case, cast, func, literal, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection

from rag.database import reading, turns, verdict_events
from rag.errors import UsageError
from rag.records import ANSWER_VERDICTS

Span = Literal[7, 30, 90]
"""Days that can be looked at: the first two day by day, 90 week by week."""
SPANS: tuple[Span, ...] = (7, 30, 90)
DAYS_OF_A_STRETCH: dict[Span, int] = {7: 1, 30: 1, 90: 7}
LIKED = "answer_helpful"
FINE = 200
"""Up to 2 s times are told to 10 ms, beyond to 100 ms."""
DISLIKED = tuple(verdict for verdict in ANSWER_VERDICTS if verdict != LIKED)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened from the day *first* to the day *last*, both inclusive, in UTC. What was not kept is None."""

    first: date
    last: date
    n_asked: int = 0
    """Questions of people; none that was simulated, imported or asked in a comparison."""
    n_declined: int = 0
    n_liked: int = 0
    """Answers of the stretch that somebody likes now."""
    n_disliked: int = 0
    n_checked: int = 0
    """Answers whose support was kept."""
    supported_share: float | None = None
    """Of the sentences of an answer those that its passages support, the mean over answers; 0 to 1."""
    n_timed: int = 0
    """Questions whose time was kept."""
    p50_s: float | None = None
    p95_s: float | None = None
    """Seconds that 95 % of the questions took at most (nearest rank)."""

    @property
    def n_answered(self) -> int:
        """Questions that got an answer."""
        return self.n_asked - self.n_declined

    @property
    def answered_share(self) -> float | None:
        """0 to 1; None where nobody asked."""
        return self.n_answered / self.n_asked if self.n_asked else None


@dataclass(frozen=True, slots=True)
class OverTime:
    """The last *days* days, stretch by stretch, all of them together, and as many days before for comparison."""

    days: Span
    stretches: tuple[Stretch, ...]
    """Oldest first, without a gap; today's is the last."""
    whole: Stretch
    before: Stretch
    kept_since: date | None
    """The first day of the whole on which support and seconds were kept; None where on no day."""

    @property
    def is_partly_kept(self) -> bool:
        """Whether support and seconds of some questions are unknown: they were asked before these were kept."""
        return self.whole.n_timed < self.whole.n_asked


def span_of(days: int) -> Span:
    """The number of days as one that is counted.

    Raises:
        UsageError: it is none.
    """
    span = next((one for one in SPANS if one == days), None)
    if span is None:
        raise UsageError(f"{days} days are not counted: use one of {', '.join(map(str, SPANS))}")
    return span


def over_time(engine: Engine, days: Span, today: date | None = None) -> OverTime:
    """What the turns of the last *days* days say; *today* is the last of them, in UTC."""
    today = today or datetime.now(UTC).date()
    first = today - timedelta(days - 1)
    bounds = [(first - timedelta(days), first - timedelta(1)), *stretches_of(days, today)]
    with reading(engine) as connection:
        tallies = _tallied(connection, bounds)
    before, *stretches = (tally.stretch(*bound) for tally, bound in zip(tallies, bounds, strict=True))
    whole = reduce(_Tally.plus, tallies[1:])
    return OverTime(days, tuple(stretches), whole.stretch(first, today), before, whole.kept_since)


def stretches_of(days: Span, today: date) -> list[tuple[date, date]]:
    """First and last day of each stretch, oldest first; where they do not come out even the first one is short.

    >>> first, *_, last = stretches_of(90, date(2026, 11, 25))
    >>> [str(day) for day in (*first, *last)]
    ['2026-08-28', '2026-09-02', '2026-11-19', '2026-11-25']
    """
    length = DAYS_OF_A_STRETCH[days]
    earliest = today - timedelta(days - 1)
    lasts = [today - timedelta(back) for back in range(0, days, length)][::-1]
    return [(max(earliest, last - timedelta(length - 1)), last) for last in lasts]


@dataclass
class _Tally:
    """What is counted of a stretch; two of them add up."""

    counts: Counter[str] = field(default_factory=Counter)
    """By the names of `Stretch`."""
    support: float = 0.0
    """Sum of the supported shares."""
    seconds: Counter[int] = field(default_factory=Counter)
    """`_bin` → questions."""
    kept_since: date | None = None

    def plus(self, other: _Tally) -> _Tally:
        """Both together; *other* is the later one."""
        return _Tally(self.counts + other.counts, self.support + other.support, self.seconds + other.seconds,
                      self.kept_since or other.kept_since)  # fmt: skip

    def stretch(self, first: date, last: date) -> Stretch:
        """The same in words."""
        n = self.counts
        support = self.support / n["n_checked"] if n["n_checked"] else None
        return Stretch(first, last, n["n_asked"], n["n_declined"], n["n_liked"], n["n_disliked"], n["n_checked"], support,
                       self.seconds.total(), nearest_rank(self.seconds, 0.50), nearest_rank(self.seconds, 0.95))  # fmt: skip


def nearest_rank(seconds: Counter[int], share: float) -> float | None:
    """The least time, in seconds, that *share* of the questions took at most; *seconds* counts them by `_bin`.

    >>> nearest_rank(Counter({10: 1, 20: 1, 201: 2}), 0.5), nearest_rank(Counter(), 0.5)
    (0.2, None)
    """
    n_wanted, n = math.ceil(share * seconds.total()), 0
    for place in sorted(seconds):
        n += seconds[place]
        if n >= n_wanted:
            return place / 100 if place <= FINE else (place - FINE) / 10 + FINE / 100
    return None


def _tallied(connection: Connection, bounds: Sequence[tuple[date, date]]) -> list[_Tally]:
    tallies = [_Tally() for _ in bounds]
    for row in connection.execute(_counted(connection, bounds)):
        tally = tallies[row.place]
        tally.counts += Counter(n_asked=row.n_asked, n_declined=row.n_declined, n_checked=row.n_checked)
        tally.support += row.support or 0.0
        if row.bin is not None:
            tally.seconds[row.bin] += row.n_asked
            since = datetime.fromisoformat(row.since).date()
            tally.kept_since = min(since, tally.kept_since or since)
    for row in connection.execute(_judged(bounds)):
        tallies[row.place].counts += Counter(n_liked=row.n_liked, n_disliked=row.n_disliked)
    return tallies


def _counted(connection: Connection, bounds: Sequence[tuple[date, date]]) -> Select[Any, Any, Any]:
    """One pass over the turns: by stretch and time, so that a median costs no sorting of a million numbers.

    An answer that is none has no sentence to support.
    """
    place = _place(bounds).label("place")
    share = _detail(connection, "supported_share").label("share")
    seconds = _detail(connection, "seconds")
    each = select(place, turns.c.declined, turns.c.asked_at, share, _bin(seconds)).where(*_asked(bounds)).subquery()
    answered = case((each.c.declined == 0, each.c.share))
    return select(
        each.c.place,
        each.c.bin,
        func.count().label("n_asked"),
        func.sum(each.c.declined).label("n_declined"),
        func.count(answered).label("n_checked"),
        func.sum(answered).label("support"),
        func.min(each.c.asked_at).label("since"),
    ).group_by(each.c.place, each.c.bin)


def _bin(seconds: ColumnElement[float | None]) -> ColumnElement[int]:
    """The time rounded: to 10 ms up to FINE of them, and to 100 ms beyond."""
    fine = seconds * 100 <= FINE
    coarse = FINE + func.round((seconds - FINE / 100) * 10)
    return cast(case((fine, func.round(seconds * 100)), else_=coarse), Integer).label("bin")


def _judged(bounds: Sequence[tuple[date, date]]) -> Select[Any, Any, Any]:
    """Standing verdicts on the answers, by the day of the question."""
    event = verdict_events.c
    latest = select(func.max(event.event_id)).where(event.passage_id == "").group_by(event.user, event.turn_id)
    place = _place(bounds).label("place")
    standing = select(place, event.verdict).join(turns, turns.c.turn_id == event.turn_id)
    each = standing.where(event.event_id.in_(latest), *_asked(bounds)).subquery()
    return select(
        each.c.place,
        func.sum(case((each.c.verdict == LIKED, 1), else_=0)).label("n_liked"),
        func.sum(case((each.c.verdict.in_(DISLIKED), 1), else_=0)).label("n_disliked"),
    ).group_by(each.c.place)


def _asked(bounds: Sequence[tuple[date, date]]) -> tuple[ColumnElement[bool], ...]:
    """Which turns count. Times are ISO-8601 in UTC, so a day is the beginning of all its times in any sort order."""
    after = bounds[-1][1] + timedelta(1)
    return (turns.c.origin == "asked", turns.c.asked_at >= str(bounds[0][0]), turns.c.asked_at < str(after))


def _place(bounds: Sequence[tuple[date, date]]) -> ColumnElement[int]:
    """The number of the stretch that a turn belongs to, 0 the oldest."""
    latest_first = [(turns.c.asked_at >= str(bounds[n][0]), literal(n)) for n in range(len(bounds) - 1, 0, -1)]
    return case(*latest_first, else_=literal(0)) if latest_first else literal(0)


def _detail(connection: Connection, name: str) -> ColumnElement[float | None]:
    """A number of the JSON that was kept with a turn; null where none was."""
    kept = func.nullif(turns.c.details, "")
    if connection.dialect.name == "postgresql":
        return cast(cast(kept, JSONB)[name].astext, Float)
    return type_coerce(func.json_extract(kept, f"$.{name}"), Float)
