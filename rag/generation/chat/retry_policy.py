"""Which failures of a language model are worth another try, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity import AttemptManager, RetryCallState

FIRST_PAUSE_S = 0.3
MAX_PAUSE_S = 8.0  # unless the server names a longer one

RETRYABLE_STATUSES = (408, 409, 425, 429)
CONNECTION_ERROR_NAMES = ("Connect", "Timeout", "Protocol", "ReadError", "WriteError")
"""In the names of errors: each provider's package has classes of its own for a server that can't be reached."""


def retry_attempts(
    n_retries: int, within_s: float, may_retry: Callable[[], bool], has_left: threading.Event
) -> Iterator[AttemptManager]:
    """The tries of one question: run each as a context, and leave the loop when one succeeds.

    Pauses double and are spread by chance, so that many who failed together don't come back together; if the server
    says how long to wait, not less than that. There is no try that would begin after *within_s*, and none once
    *has_left* is set or *may_retry* says no. The last failure is raised.
    """
    from tenacity import (
        Retrying,
        retry_if_exception,
        stop_after_attempt,
        stop_before_delay,
        wait_exponential,
        wait_random,
    )
    from tenacity.nap import sleep_using_event

    spread = wait_exponential(FIRST_PAUSE_S, max=MAX_PAUSE_S) + wait_random(0, FIRST_PAUSE_S)

    def wait(state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        return max(spread(state), retry_after_s(failure))

    def is_worth_it(failure: BaseException) -> bool:
        return isinstance(failure, Exception) and is_retryable(failure) and not has_left.is_set() and may_retry()

    yield from Retrying(
        stop=stop_after_attempt(1 + n_retries) | stop_before_delay(within_s),
        wait=wait,
        retry=retry_if_exception(is_worth_it),
        sleep=sleep_using_event(has_left),
        reraise=True,
    )


def is_retryable(failure: Exception) -> bool:
    """Whether the same question, asked again, may succeed: the server was not reached, busy or broken.

    Not if it refuses the question, and not where it answers in a way that makes no sense.

    >>> is_retryable(ConnectionError()), is_retryable(ValueError())
    (True, False)
    """
    status = http_status_of(failure)
    if status is not None:
        return status >= 500 or status in RETRYABLE_STATUSES
    names = {kind.__name__ for exception in exception_chain(failure) for kind in type(exception).__mro__}
    return any(sign in name for name in names for sign in CONNECTION_ERROR_NAMES)


def exception_chain(failure: BaseException) -> list[BaseException]:
    """A failure and what caused it, outermost first: a refused connection is wrapped three times."""
    failures = [failure]
    while failures[-1].__cause__ and len(failures) < 4:
        failures.append(failures[-1].__cause__)
    return failures


def retry_after_s(failure: BaseException | None) -> float:
    """Seconds of the server's Retry-After; 0 if it named none, or a date.

    >>> retry_after_s(ConnectionError())
    0.0
    """
    headers = getattr(getattr(failure, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def http_status_of(failure: BaseException) -> int | None:
    """The HTTP status that a provider's error carries, under any of the names they use."""
    for source in (failure, getattr(failure, "response", None)):
        status = getattr(source, "status_code", None)
        if isinstance(status, int):
            return status if status >= 400 else None  # ollama says -1 if there was no answer at all
    return None


def failure_kind(failure: BaseException) -> str:
    """What kind of failure it was, in the words of the provider's package; without its message, which may quote anything.

    >>> failure_kind(TimeoutError("sk-123"))
    'TimeoutError'
    """
    status = http_status_of(failure)
    names = " from ".join(type(exception).__name__ for exception in exception_chain(failure))
    return f"{names}, HTTP {status}" if status is not None else names
