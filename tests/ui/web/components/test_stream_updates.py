"""Work that reports to a callback, shown step by step; it ends when nobody looks any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ui.web.components.stream_updates import stream_updates


def test_reports_come_in_order_and_the_result_last() -> None:
    def work(show: Callable[[int], None]) -> int:
        for number in range(3):
            show(number)
        return 99

    assert list(stream_updates(work)) == [0, 1, 2, 99]


def test_a_report_is_shown_while_the_work_goes_on() -> None:
    may_end = threading.Event()

    def work(show: Callable[[str], None]) -> str:
        show("half")
        assert may_end.wait(10)
        return "whole"

    updates = stream_updates(work)
    assert next(updates) == "half"
    may_end.set()
    assert list(updates) == ["whole"]


def test_an_error_comes_after_what_was_shown_before_it() -> None:
    def work(show: Callable[[str], None]) -> str:
        show("half")
        raise ValueError("broken")

    updates = stream_updates(work)
    assert next(updates) == "half"
    with pytest.raises(ValueError, match="broken"):
        next(updates)


def test_work_that_nobody_looks_at_ends_with_its_next_report() -> None:
    n_reports = 0

    def work(show: Callable[[int], None]) -> int:
        nonlocal n_reports
        for n_reports in range(1000):
            show(n_reports)
            time.sleep(0.01)
        return 1000

    updates = stream_updates(work)
    assert next(updates) == 0
    updates.close()
    assert n_reports < 999, "closing waits for the thread, which would take ten seconds"
