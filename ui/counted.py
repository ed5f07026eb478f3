"""Numbers over time that were counted a moment ago, for every door that shows them."""

from __future__ import annotations

import time

from sqlalchemy import Engine

from rag.insights import OverTime, Span, over_time

FRESH_S = 60.0  # counting a million turns takes many seconds, and whoever changes the days back should not wait again


class Counted:
    """What was counted lately, by days."""

    def __init__(self) -> None:
        self._kept: dict[Span, tuple[float, OverTime]] = {}

    def over_time(self, engine: Engine, days: Span) -> OverTime:
        """What the turns say, as of a minute ago at most."""
        at, found = self._kept.get(days, (0.0, None))
        if found is None or time.monotonic() - at > FRESH_S:
            found = over_time(engine, days)
            self._kept[days] = time.monotonic(), found
        return found
