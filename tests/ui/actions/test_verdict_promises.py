"""What a person is told that a verdict will do."""

from __future__ import annotations

from rag.records import ANSWER_VERDICTS, PASSAGE_VERDICTS
from ui.actions.verdict_promises import PROMISES, PROMISES_AT_ONCE


def test_every_verdict_says_what_it_will_do() -> None:
    assert set(PROMISES) == set(PROMISES_AT_ONCE) == {*PASSAGE_VERDICTS, *ANSWER_VERDICTS}
