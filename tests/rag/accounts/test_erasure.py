"""Forgetting a person: what goes, what stays, and that nothing is left where it must not be."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import Engine, select

from rag.accounts.erasure import NOBODY, Forgotten, forget_person
from rag.database.schema import reading, shown, turns, verdict_events
from rag.embedding.query_vectors import known_question_vectors, question_vectors
from rag.errors import NotFoundError
from rag.feedback.feedback_store import Feedback
from rag.records import Shown, Turn, Verdict

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Numbered:
    """An encoder as far as questions go: one axis each."""

    encoder_id = "e"

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return np.eye(8, dtype=np.float32)[: len(texts)]


def asks(feedback: Feedback, user: str, turn_id: str, question: str) -> None:
    seen = (Shown("p1", 1, 1.0, 1.0, 0.0, cited=True),)
    feedback.record_turn(
        Turn(
            turn_id, "c", user, question, f"answer to {question}", False, "e", NOON, "asked", seen, f"typed {question}"
        )
    )


def says(feedback: Feedback, user: str, turn_id: str, verdict: str = "helpful") -> None:
    feedback.append([Verdict(user, turn_id, "", "p1", verdict, given_at=NOON)])


@pytest.fixture
def feedback(engine: Engine) -> Feedback:
    """Ann asked three questions; Bob judged the second, and asked the third as well."""
    opened = Feedback(engine)
    for turn_id, question in (("a1", "only ann"), ("a2", "judged by bob"), ("a3", "asked by both")):
        asks(opened, "ann", turn_id, question)
        says(opened, "ann", turn_id)
    asks(opened, "bob", "b1", "asked by both")
    says(opened, "bob", "b1")
    says(opened, "bob", "a2", "not_relevant")
    question_vectors(engine, Numbered(), ["only ann", "judged by bob", "asked by both"])
    return opened


def test_a_dry_run_counts_and_removes_nothing(feedback: Feedback) -> None:
    expected = Forgotten(3, 2, 1, 1, NOON.isoformat())
    assert forget_person(feedback.engine, "ann", dry_run=True) == expected
    assert len(feedback.standing()) == 5
    assert forget_person(feedback.engine, "ann") == expected


def test_nothing_of_the_person_is_left(feedback: Feedback) -> None:
    forget_person(feedback.engine, "ann")
    with reading(feedback.engine) as connection:
        for table in (turns, shown, verdict_events):
            stored = " ".join(str(row) for row in connection.execute(select(table)))
            assert "ann" not in stored.replace("answer", ""), table.name
            assert "a1" not in stored and "a3" not in stored


def test_what_others_said_stays(feedback: Feedback) -> None:
    forget_person(feedback.engine, "ann")
    assert {(one.user, one.turn_id, one.verdict) for one in feedback.standing()} == {
        ("bob", "b1", "helpful"),
        ("bob", "a2", "not_relevant"),
    }
    kept = feedback.turn("a2")
    assert (kept.user, kept.question, kept.answer, kept.asked) == (NOBODY, "judged by bob", "", "")


def test_the_vectors_of_questions_that_nobody_else_asked_go(feedback: Feedback) -> None:
    forget_person(feedback.engine, "ann")
    questions = ["only ann", "judged by bob", "asked by both"]
    assert set(known_question_vectors(feedback.engine, "e", questions)) == {"judged by bob", "asked by both"}


def test_a_verdict_that_was_taken_back_is_forgotten_too(feedback: Feedback) -> None:
    asks(feedback, "eve", "e1", "later withdrawn")
    says(feedback, "eve", "e1")
    feedback.withdraw("eve", "e1", "p1")
    assert forget_person(feedback.engine, "eve").n_verdicts == 2


def test_somebody_who_only_asked_is_forgotten(feedback: Feedback) -> None:
    asks(feedback, "eve", "e1", "asked and left")
    assert forget_person(feedback.engine, "eve") == Forgotten(0, 1, 0, 0, None)


def test_a_person_nobody_knows_is_refused(feedback: Feedback) -> None:
    with pytest.raises(NotFoundError, match="nobody named 'zoe'"):
        forget_person(feedback.engine, "zoe")
