"""A circuit breaker: what failed several times in a row is left alone for a while, then tried by one caller first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

CircuitState = Literal["closed", "open", "half-open"]

log = logging.getLogger(__name__)


class CircuitBreaker:
    """Whether something may be asked. Threads may share it. The pattern and its words are Nygard's (Release It!, 2007).

    >>> seconds = iter([0.0, 30.0, 60.0, 61.0])
    >>> breaker = CircuitBreaker(1, 60.0, clock=lambda: next(seconds))
    >>> breaker.failed()  # at 0 s
    >>> breaker.allow_request(), breaker.allow_request(), breaker.allow_request()  # at 30 s, at 60 s, and while the probe is out
    (False, True, False)
    """

    def __init__(self, n_failures: int, rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Opens after *n_failures* in a row and stays so for *rest_s*, in seconds of *clock*."""
        self._most = n_failures
        self._rest_s = rest_s
        self._clock = clock
        self._lock = threading.Lock()
        self._n_failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> CircuitState:
        """ "closed": all may ask; "open": none; "half-open": one may, and what becomes of it decides."""
        with self._lock:
            return self._state()

    def allow_request(self) -> bool:
        """Whether the caller may ask now; whoever may says afterwards what became of it."""
        with self._lock:
            if self._opened_at is None:
                return True
            if self._probing or self._state() == "open":
                return False
            self._probing = True
            return True

    def record_success(self) -> None:
        """An answer came: closed, whatever was before."""
        with self._lock:
            if self._opened_at is not None:
                log.info("the language model answers again")
            self._n_failures, self._opened_at, self._probing = 0, None, False

    def failed(self) -> None:
        """No answer came: open, if it is one too many or was the probe."""
        with self._lock:
            self._n_failures += 1
            if self._n_failures >= self._most:
                log.warning(
                    "the language model failed %d times in a row: not asked for %.0f s", self._n_failures, self._rest_s
                )
                self._opened_at, self._probing = self._clock(), False

    def release_probe(self) -> None:
        """The caller left before it could tell; if it was the probe, the next one may try."""
        with self._lock:
            self._probing = False

    def _state(self) -> CircuitState:
        if self._opened_at is None:
            return "closed"
        rested = self._probing or self._clock() >= self._opened_at + self._rest_s
        return "half-open" if rested else "open"
