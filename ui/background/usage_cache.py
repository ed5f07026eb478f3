"""Numbers over time that were counted a moment ago, for every door that shows them; days that are over, in the background."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

from sqlalchemy import Engine

from rag.feedback.daily_counts import DayCount, count_days, last_closed_day
from rag.insights.usage_over_time import SpanDays, UsageOverTime, days_covered, usage_over_time_in_steps

MAX_AGE_S = (
    60.0  # today and the votes are counted at each look, and whoever changes the days back should not wait again
)


class UsageCache:
    """What was counted lately, by days."""

    def __init__(self) -> None:
        self._kept: dict[SpanDays, tuple[float, UsageOverTime]] = {}

    def over_time(self, engine: Engine, days: SpanDays) -> UsageOverTime:
        """What the turns say, as of a minute ago at most."""
        *_, found = self.steps(engine, days)
        assert isinstance(found, UsageOverTime)
        return found

    def steps(self, engine: Engine, days: SpanDays) -> Iterator[tuple[int, int] | UsageOverTime]:
        """How many days are counted, and of how many; at the end what they say."""
        at, found = self._kept.get(days, (0.0, None))
        if found is not None and time.monotonic() - at <= MAX_AGE_S:
            yield found
            return
        for step in usage_over_time_in_steps(engine, days):
            if isinstance(step, UsageOverTime):
                self._kept[days] = time.monotonic(), step
            yield step


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
