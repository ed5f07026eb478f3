"""Usage over time, cached for a minute; days that are over are counted in the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

from sqlalchemy import Engine

from rag.feedback.daily_counts import DayCount, count_days, last_closed_day
from rag.insights.usage_over_time import SpanDays, UsageOverTime, days_covered, usage_over_time

MAX_AGE_S = 60.0  # today and the votes are counted each time, and whoever switches the span back should not wait again


class UsageCache:
    """Keeps the latest counts by the length of their span."""

    def __init__(self) -> None:
        self._cached: dict[SpanDays, tuple[float, UsageOverTime]] = {}

    def over_time(
        self,
        engine: Engine,
        days: SpanDays,
        on_progress: Callable[[int, int], None] = lambda n_done, n_days: None,
    ) -> UsageOverTime:
        """Returns the usage as of a minute ago at most; *on_progress* is as for `usage_over_time`."""
        counted_at, usage = self._cached.get(days, (0.0, None))
        if usage is None or time.monotonic() - counted_at > MAX_AGE_S:
            usage = usage_over_time(engine, days, on_progress=on_progress)
            self._cached[days] = time.monotonic(), usage
        return usage


class PastDayCounter:
    """Counts the days that are over, so that nobody has to wait for them on the page Insights."""

    def __init__(self) -> None:
        self._until: date | None = None
        self._pieces: Iterator[dict[date, DayCount]] = iter(())

    def count_some(self, engine: Engine) -> None:
        """Counts some of the days that Insights will show: a second's work at most, and nothing if all are counted."""
        last = last_closed_day(datetime.now(UTC))
        if self._until != last:
            self._until = last
            self._pieces = count_days(engine, days_covered(last))
        next(self._pieces, None)
