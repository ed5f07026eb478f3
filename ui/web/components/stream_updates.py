"""Functions that report their progress to a callback, as the generators that Gradio shows step by step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class _ReaderLeftError(Exception):
    """Ends the work of a page that nobody looks at any more."""


def stream_updates(work: Callable[[Callable[[T], None]], T]) -> Iterator[T]:
    """Yields what *work* hands to the function that it is called with, and finally what it returns.

    *work* runs in a thread of its own. If the generator is closed, the function raises, so that the work ends with its
    next report; closing waits for that. Raises whatever *work* raises.

    >>> def count(show):
    ...     show("1 of 2")
    ...     return "done"
    >>> list(stream_updates(count))
    ['1 of 2', 'done']
    """
    updates: SimpleQueue[tuple[T, ...]] = SimpleQueue()  # one each; () is the end
    has_left = threading.Event()

    def show(update: T) -> None:
        if has_left.is_set():
            raise _ReaderLeftError
        updates.put((update,))

    def run() -> T:
        try:
            return work(show)
        finally:
            updates.put(())

    with ThreadPoolExecutor(1, "page") as threads:
        result = threads.submit(run)
        try:
            while update := updates.get():
                yield update[0]
            yield result.result()
        finally:
            has_left.set()
