"""What a chat model writes, in a thread of its own: waited for with patience, and left when nobody reads any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from rag.generation.chat.retry_policy import retry_attempts

POLL_INTERVAL_S = 0.05  # between two looks at whether the reader pressed Stop
THREAD_JOIN_TIMEOUT_S = 30.0  # for a model in this process, which looks before every layer whether it shall stop

WriteAnswer = Callable[[Callable[[], bool]], Generator[str, None, None]]
"""One try: the pieces, some of them empty. What it is given says whether nobody waits for them any more."""

StreamItem = str | Exception | None
"""A piece, what went wrong, or the end."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a chat model is waited for."""

    timeout_s: float = 60.0
    """For a whole answer, further tries included."""
    silence_s: float = 30.0
    """For its first word, further tries included, and then between two pieces."""
    n_retries: int = 2
    """Further tries, as long as no word has come."""


def stream_in_thread(
    write: WriteAnswer, timeouts: Timeouts, stopped: threading.Event, *, is_local: bool
) -> Generator[str | Exception, None, None]:
    """The pieces as they come; what went wrong is the last one. Close it: that ends the writing.

    A read from the network can't be ended, but it can be left: a thread that is left ends with its next piece, or when
    the connection does. With *is_local*, for a model in this process, it is waited for, and nothing is tried again.
    """
    told: SimpleQueue[StreamItem] = SimpleQueue()
    has_left, deadline = threading.Event(), time.monotonic() + timeouts.timeout_s

    def is_over() -> bool:
        return has_left.is_set() or stopped.is_set() or time.monotonic() > deadline

    writing = _Writing(
        write=write, tell=told.put, is_over=is_over, has_left=has_left, patience=timeouts, retries=not is_local
    )
    thread = threading.Thread(target=writing.run, name="chat model", daemon=True)
    thread.start()
    try:
        while (piece := _next(told, min(deadline, time.monotonic() + timeouts.silence_s), stopped)) is not None:
            yield piece
            if isinstance(piece, Exception):
                return
    finally:
        has_left.set()
        if is_local:
            thread.join(THREAD_JOIN_TIMEOUT_S)


@dataclass(slots=True, kw_only=True)
class _Writing:
    """One question on its way through the model."""

    write: WriteAnswer
    tell: Callable[[StreamItem], None]
    is_over: Callable[[], bool]
    has_left: threading.Event
    patience: Timeouts
    retries: bool
    has_begun: bool = False

    def run(self) -> None:
        """Yields the pieces as they come, then None, or what went wrong. Tries again if nothing was told yet."""
        within_s = min(self.patience.timeout_s, self.patience.silence_s)
        try:
            for attempt in retry_attempts(self.patience.n_retries, within_s, self._may_retry, self.has_left):
                with attempt:
                    self._try_once()
            self.tell(None)
        except Exception as error:  # noqa: BLE001 - each provider's package raises errors of its own
            self.tell(error)

    def _may_retry(self) -> bool:
        return self.retries and not self.has_begun and not self.is_over()

    def _try_once(self) -> None:
        with closing(self.write(self.is_over)) as pieces:
            for piece in pieces:
                if piece:
                    self.tell(piece)
                    self.has_begun = True
                if self.is_over():
                    raise TimeoutError


def _next(told: SimpleQueue[StreamItem], until: float, stopped: threading.Event) -> StreamItem:
    """The next piece, waited for until *until*, in seconds of the monotonic clock; None if *stopped* came first."""
    while not stopped.is_set():
        try:
            return told.get(timeout=max(0.0, min(POLL_INTERVAL_S, until - time.monotonic())))
        except Empty:
            if time.monotonic() >= until:
                return TimeoutError()
    return None
