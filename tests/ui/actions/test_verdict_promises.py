"""What a person is told that a verdict will do."""

from __future__ import annotations

from rag.records import ANSWER_VERDICTS, PASSAGE_VERDICTS
from ui.actions.verdict_promises import VERDICT_NOTICES, VERDICT_NOTICES_WITH_BOOST


def test_every_verdict_says_what_it_will_do() -> None:
    assert set(VERDICT_NOTICES) == set(VERDICT_NOTICES_WITH_BOOST) == {*PASSAGE_VERDICTS, *ANSWER_VERDICTS}
