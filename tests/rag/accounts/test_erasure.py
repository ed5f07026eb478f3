"""Forgetting a person: what goes, what stays, and that nothing is left where it must not be."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import Engine, select

from rag.accounts.erasure import FORGOTTEN_USER, ErasureCounts, erase_user_data
from rag.database.schema import read_connection, shown_passages, turns, verdict_events
from rag.embedding.query_vectors import get_query_vectors, load_query_vectors
from rag.errors import NotFoundError
from rag.feedback.feedback_store import FeedbackStore
from rag.records import ShownPassage, Turn, Verdict

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Numbered:
    """An encoder as far as questions go: one axis each."""

    encoder_id = "e"

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return np.eye(8, dtype=np.float32)[: len(texts)]


def asks(feedback: FeedbackStore, user: str, turn_id: str, question: str) -> None:
    seen = (ShownPassage(passage_id="p1", rank=1, score=1.0, dense=1.0, lexical=0.0, cited=True),)
    feedback.record_turn(
        Turn(
            turn_id=turn_id,
            conversation_id="c",
            user=user,
            question=question,
            answer=f"answer to {question}",
            declined=False,
            encoder_id="e",
            asked_at=NOON,
            origin="asked",
            shown=seen,
            asked=f"typed {question}",
        )
    )


def says(feedback: FeedbackStore, user: str, turn_id: str, verdict: str = "helpful") -> None:
    feedback.append([Verdict(user=user, turn_id=turn_id, question="", passage_id="p1", verdict=verdict, given_at=NOON)])


@pytest.fixture
def feedback(engine: Engine) -> FeedbackStore:
    """Ann asked three questions; Bob judged the second, and asked the third as well."""
    opened = FeedbackStore(engine)
    for turn_id, question in (("a1", "only ann"), ("a2", "judged by bob"), ("a3", "asked by both")):
        asks(opened, "ann", turn_id, question)
        says(opened, "ann", turn_id)
    asks(opened, "bob", "b1", "asked by both")
    says(opened, "bob", "b1")
    says(opened, "bob", "a2", "not_relevant")
    get_query_vectors(engine, Numbered(), ["only ann", "judged by bob", "asked by both"])
    return opened


def test_a_dry_run_counts_and_removes_nothing(feedback: FeedbackStore) -> None:
    expected = ErasureCounts(n_verdicts=3, n_turns=2, n_turns_kept=1, n_question_vectors=1, first_at=NOON.isoformat())
    assert erase_user_data(feedback.engine, "ann", dry_run=True) == expected
    assert len(feedback.standing()) == 5
    assert erase_user_data(feedback.engine, "ann") == expected


def test_nothing_of_the_person_is_left(feedback: FeedbackStore) -> None:
    erase_user_data(feedback.engine, "ann")
    with read_connection(feedback.engine) as connection:
        for table in (turns, shown_passages, verdict_events):
            stored = " ".join(str(row) for row in connection.execute(select(table)))
            assert "ann" not in stored.replace("answer", ""), table.name
            assert "a1" not in stored and "a3" not in stored


def test_what_others_said_stays(feedback: FeedbackStore) -> None:
    erase_user_data(feedback.engine, "ann")
    assert {(verdict.user, verdict.turn_id, verdict.verdict) for verdict in feedback.standing()} == {
        ("bob", "b1", "helpful"),
        ("bob", "a2", "not_relevant"),
    }
    kept = feedback.turn("a2")
    assert (kept.user, kept.question, kept.answer, kept.asked) == (FORGOTTEN_USER, "judged by bob", "", "")


def test_the_vectors_of_questions_that_nobody_else_asked_go(feedback: FeedbackStore) -> None:
    erase_user_data(feedback.engine, "ann")
    questions = ["only ann", "judged by bob", "asked by both"]
    assert set(load_query_vectors(feedback.engine, "e", questions)) == {"judged by bob", "asked by both"}


def test_a_verdict_that_was_taken_back_is_forgotten_too(feedback: FeedbackStore) -> None:
    asks(feedback, "eve", "e1", "later withdrawn")
    says(feedback, "eve", "e1")
    feedback.withdraw_verdict("eve", "e1", "p1")
    assert erase_user_data(feedback.engine, "eve").n_verdicts == 2


def test_somebody_who_only_asked_is_forgotten(feedback: FeedbackStore) -> None:
    asks(feedback, "eve", "e1", "asked and left")
    assert erase_user_data(feedback.engine, "eve") == ErasureCounts(
        n_verdicts=0, n_turns=1, n_turns_kept=0, n_question_vectors=0, first_at=None
    )


def test_a_person_nobody_knows_is_refused(feedback: FeedbackStore) -> None:
    with pytest.raises(NotFoundError, match="nobody named 'zoe'"):
        erase_user_data(feedback.engine, "zoe")
