"""How the answers did over time: asked, declined, liked, supported, and how fast; counted in SQL, however many turns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Engine, Select, case, func, literal, select
from sqlalchemy.engine import Connection

from rag.database.schema import read_connection, turns, verdict_events
from rag.errors import UsageError
from rag.feedback.daily_counts import HISTOGRAM_BINS_PER_DECADE, DayCount, asked_between, count_days, days_between
from rag.records import ANSWER_VERDICTS

SpanDays = Literal[7, 30, 90]
"""Days that can be looked at: the first two day by day, 90 week by week."""
SPANS_DAYS: tuple[SpanDays, ...] = (7, 30, 90)
STRETCH_DAYS: dict[SpanDays, int] = {7: 1, 30: 1, 90: 7}
LIKED = "answer_helpful"
DISLIKED = tuple(verdict for verdict in ANSWER_VERDICTS if verdict != LIKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePeriod:
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
        """0 to 1; None if nobody asked."""
        return self.n_answered / self.n_asked if self.n_asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageOverTime:
    """The last *days* days, stretch by stretch, all of them together, and as many days before for comparison."""

    days: SpanDays
    periods: tuple[UsagePeriod, ...]
    """Oldest first, without a gap; today's is the last."""
    whole: UsagePeriod
    before: UsagePeriod
    kept_since: date | None
    """The first day of the whole on which support and seconds were kept; None if on no day."""

    @property
    def is_partly_kept(self) -> bool:
        """Whether support and seconds of some questions are unknown: they were asked before these were kept."""
        return self.whole.n_timed < self.whole.n_asked


def to_span(days: int) -> SpanDays:
    """The number of days as one that is counted.

    Raises:
        UsageError: it is none.
    """
    span = next((known for known in SPANS_DAYS if known == days), None)
    if span is None:
        raise UsageError(f"{days} days are not counted: use one of {', '.join(map(str, SPANS_DAYS))}")
    return span


def usage_over_time(
    engine: Engine,
    days: SpanDays,
    today: date | None = None,
    on_progress: Callable[[int, int], None] = lambda n_done, n_days: None,
) -> UsageOverTime:
    """What the turns of the last *days* days say; *today* is the last of them, in UTC.

    Days that are over are counted once. *on_progress* gets how many days are counted, and of how many.
    """
    today = today or datetime.now(UTC).date()
    first = today - timedelta(days - 1)
    bounds = [(first - timedelta(days), first - timedelta(1)), *split_into_periods(days, today)]
    wanted, counts = days_between(bounds[0][0], today), dict[date, DayCount]()
    for count in count_days(engine, wanted):
        counts |= count
        on_progress(len(counts), len(wanted))
    with read_connection(engine) as connection:
        said = _said(connection, bounds)
    return _over_time(days, bounds, counts, said)


def _over_time(
    days: SpanDays,
    bounds: Sequence[tuple[date, date]],
    counts: Mapping[date, DayCount],
    said: Sequence[tuple[int, int]],
) -> UsageOverTime:
    summed = [sum((counts[day] for day in days_between(*bound)), DayCount()) for bound in bounds]
    before, *stretches = (_stretch(*values) for values in zip(bounds, summed, said, strict=True))
    (first, _), (_, today) = bounds[1], bounds[-1]
    liked, disliked = (sum(numbers) for numbers in zip(*said[1:], strict=True))
    whole = _stretch((first, today), sum(summed[1:], DayCount()), (liked, disliked))
    kept_since = next((day for day in days_between(first, today) if counts[day].seconds), None)
    return UsageOverTime(days=days, periods=tuple(stretches), whole=whole, before=before, kept_since=kept_since)


def _stretch(bound: tuple[date, date], count: DayCount, said: tuple[int, int]) -> UsagePeriod:
    support = count.support / count.n_checked if count.n_checked else None
    return UsagePeriod(
        first=bound[0],
        last=bound[1],
        n_asked=count.n_asked,
        n_declined=count.n_declined,
        n_liked=said[0],
        n_disliked=said[1],
        n_checked=count.n_checked,
        supported_share=support,
        n_timed=count.seconds.total(),
        p50_s=nearest_rank_percentile(count.seconds, 0.50),
        p95_s=nearest_rank_percentile(count.seconds, 0.95),
    )


def days_covered(last: date) -> list[date]:
    """The days up to *last* that the longest span is told of, and as many before."""
    return days_between(last - timedelta(2 * max(SPANS_DAYS) - 1), last)


def split_into_periods(days: SpanDays, today: date) -> list[tuple[date, date]]:
    """First and last day of each stretch, oldest first; if they do not come out even the first one is short.

    >>> first, *_, last = split_into_periods(90, date(2026, 11, 25))
    >>> [str(day) for day in (*first, *last)]
    ['2026-08-28', '2026-09-02', '2026-11-19', '2026-11-25']
    """
    length = STRETCH_DAYS[days]
    earliest = today - timedelta(days - 1)
    lasts = [today - timedelta(back) for back in range(0, days, length)][::-1]
    return [(max(earliest, last - timedelta(length - 1)), last) for last in lasts]


def nearest_rank_percentile(seconds: Counter[int], share: float) -> float | None:
    """The least time, in seconds, that *share* of the questions took at most; *seconds* counts them as `DayCount` does.

    >>> nearest_rank_percentile(Counter({10: 1, 20: 1, 201: 2}), 0.5), nearest_rank_percentile(Counter(), 0.5)
    (0.2, None)
    """
    n_wanted, n = math.ceil(share * seconds.total()), 0
    for bin_number in sorted(seconds):
        n += seconds[bin_number]
        if n >= n_wanted:
            return (
                bin_number / 100
                if bin_number <= HISTOGRAM_BINS_PER_DECADE
                else (bin_number - HISTOGRAM_BINS_PER_DECADE) / 10 + HISTOGRAM_BINS_PER_DECADE / 100
            )
    return None


def _said(connection: Connection, bounds: Sequence[tuple[date, date]]) -> list[tuple[int, int]]:
    """Liked and disliked answers of each stretch."""
    found = {row.place: (int(row.n_liked), int(row.n_disliked)) for row in connection.execute(_judged(bounds))}
    return [found.get(index, (0, 0)) for index in range(len(bounds))]


def _judged(bounds: Sequence[tuple[date, date]]) -> Select[Any, Any, Any]:
    """Standing verdicts on the answers, by the day of the question."""
    event = verdict_events.c
    latest = select(func.max(event.event_id)).where(event.passage_id == "").group_by(event.user, event.turn_id)
    place = _place(bounds).label("place")
    standing = select(place, event.verdict).join(turns, turns.c.turn_id == event.turn_id)
    asked = (turns.c.origin == "asked", *asked_between(bounds[0][0], bounds[-1][1]))
    each = standing.where(event.event_id.in_(latest), *asked).subquery()
    return select(
        each.c.place,
        func.sum(case((each.c.verdict == LIKED, 1), else_=0)).label("n_liked"),
        func.sum(case((each.c.verdict.in_(DISLIKED), 1), else_=0)).label("n_disliked"),
    ).group_by(each.c.place)


def _place(bounds: Sequence[tuple[date, date]]) -> ColumnElement[int]:
    """The number of the stretch that a turn belongs to, 0 the oldest."""
    latest_first = [(turns.c.asked_at >= str(bounds[n][0]), literal(n)) for n in range(len(bounds) - 1, 0, -1)]
    return case(*latest_first, else_=literal(0)) if latest_first else literal(0)
