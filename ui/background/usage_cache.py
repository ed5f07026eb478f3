"""Numbers over time that were counted a moment ago, for every door that shows them; days that are over, in the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

from sqlalchemy import Engine

from rag.feedback.daily_counts import DayCount, count_days, last_closed_day
from rag.insights.usage_over_time import SpanDays, UsageOverTime, days_covered, usage_over_time

MAX_AGE_S = (
    60.0  # today and the votes are counted at each look, and whoever changes the days back should not wait again
)


class UsageCache:
    """What was counted lately, by days."""

    def __init__(self) -> None:
        self._kept: dict[SpanDays, tuple[float, UsageOverTime]] = {}

    def over_time(
        self,
        engine: Engine,
        days: SpanDays,
        on_progress: Callable[[int, int], None] = lambda n_done, n_days: None,
    ) -> UsageOverTime:
        """What the turns say, as of a minute ago at most; *on_progress* as for `usage_over_time`."""
        counted_at, usage = self._kept.get(days, (0.0, None))
        if usage is None or time.monotonic() - counted_at > MAX_AGE_S:
            usage = usage_over_time(engine, days, on_progress=on_progress)
            self._kept[days] = time.monotonic(), usage
        return usage


class PastDayCounter:
    """Counts the days that are over, so that nobody who looks has to wait for it."""

    def __init__(self) -> None:
        self._until: date | None = None
        self._pieces: Iterator[dict[date, DayCount]] = iter(())

    def look(self, engine: Engine) -> None:
        """Counts some of what Insights will show; a second's work at most, and nothing if all is counted."""
        last = last_closed_day(datetime.now(UTC))
        if self._until != last:
            self._until = last
            self._pieces = count_days(engine, days_covered(last))
        next(self._pieces, None)
