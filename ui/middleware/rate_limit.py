"""Limits how often somebody may do something, by a token bucket in the memory of this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from rag.errors import RateLimitError

MAX_BUCKETS = 10_000  # the buckets used last are kept
BURST_S = 20.0  # what is allowed in this many seconds may come at once


class RateLimiter:
    """Allows each name this many a minute, with bursts. Threads may share it."""

    def __init__(self, resource: str, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        """*resource* names in messages what there is too much of; a *per_minute* of 0 lets everything pass."""
        self._resource = resource
        self._per_s = per_minute / 60
        self._most = max(1.0, self._per_s * BURST_S)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Name → the tokens left, and when they were counted."""
        self._lock = threading.Lock()

    def take(self, name: str) -> None:
        """Takes one for *name*.

        Raises:
            RateLimitError: no token is left for now.
        """
        if not self._per_s:
            return
        with self._lock:
            at = self._clock()
            left, since = self._left.pop(name, (self._most, at))
            left = min(self._most, left + (at - since) * self._per_s)
            enough = left >= 1
            self._left[name] = (left - 1 if enough else left, at)
            if len(self._left) > MAX_BUCKETS:
                self._left.popitem(last=False)
        if not enough:
            again_s = (1 - left) / self._per_s
            raise RateLimitError(
                f"too many {self._resource} from {name!r}, at most {60 * self._per_s:,.0f} a minute are allowed: "
                f"try again in {format_wait(again_s)}",
                again_s,
            )


def format_wait(seconds: float) -> str:
    """Returns a time to wait in words.

    >>> format_wait(0.2), format_wait(42), format_wait(600)
    ('1 second', '42 seconds', '10 minutes')
    """
    n = max(1, round(seconds))
    if n < 120:
        return f"{n} second{'s' * (n > 1)}"
    return f"{round(n / 60)} minutes"
