"""Gaps: which questions found nothing, which of them ask for the same, and that nothing of them is kept."""

from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from rag.database.schema import vectors
from rag.feedback.feedback_store import FeedbackStore
from rag.insights.knowledge_gaps import MIN_GROUP_COSINE, find_gaps, group_by_cosine, load_unanswered_turns, name_group
from rag.records import ShownPassage, Turn, utc_now

_seconds = itertools.count()
_start = utc_now()


def asked(engine: Engine, question: str, user: str = "ada", *, declined: bool = True, origin: str = "asked") -> str:
    """A question, a second after the one before."""
    number = next(_seconds)
    at = _start + timedelta(seconds=number)
    turn = Turn(
        turn_id=f"t{number}",
        conversation_id="c",
        user=user,
        question=question,
        answer="",
        declined=declined,
        encoder_id="v",
        asked_at=at,
        origin=origin,
        shown=(ShownPassage(passage_id="p", rank=1, score=1.0, dense=1.0, lexical=0.0, cited=False),),
    )  # type: ignore[arg-type]
    FeedbackStore(engine).record_turn(turn)
    return turn.turn_id


def nowhere(queries: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
    return [[] for _ in queries]


def questions(engine: Engine, user: str | None = None) -> list[str]:
    return [turn.question for turn in load_unanswered_turns(engine, user)]


def test_declined_and_complained_of_questions_found_nothing_and_others_did(engine: Engine) -> None:
    feedback = FeedbackStore(engine)
    asked(engine, "declined")
    asked(engine, "answered", declined=False)
    asked(engine, "not typed by anybody", origin="simulated")
    for question, verdict in (
        ("absent", "answer_not_in_documents"),
        ("wrong source", "answer_wrong_source"),
        ("wrong", "answer_wrong"),
    ):
        feedback.record_verdict("ada", asked(engine, question, declined=False), None, verdict)
    assert questions(engine) == ["wrong source", "absent", "declined"]


def test_a_wrong_source_whose_right_passage_is_named_is_no_gap(engine: Engine) -> None:
    feedback = FeedbackStore(engine)
    turn_id = asked(engine, "wrong source", declined=False)
    feedback.record_verdict("ada", turn_id, None, "answer_wrong_source")
    feedback.record_verdict("ada", turn_id, "p", "pin")
    assert questions(engine) == []
    feedback.withdraw_verdict("ada", turn_id, "p")
    assert questions(engine) == ["wrong source"]


def test_a_complaint_that_was_taken_back_counts_no_longer(engine: Engine) -> None:
    feedback, turn_id = FeedbackStore(engine), asked(engine, "absent", declined=False)
    feedback.record_verdict("ada", turn_id, None, "answer_not_in_documents")
    feedback.record_verdict("ada", turn_id, None, "answer_helpful")
    assert questions(engine) == []


def test_a_question_that_was_answered_since_is_no_gap_and_one_that_failed_again_is(engine: Engine) -> None:
    asked(engine, "Where?")
    asked(engine, "Where?", declined=False)
    assert questions(engine) == []
    asked(engine, "Where?")
    assert questions(engine) == ["Where?", "Where?"]


def test_one_persons_gaps_hold_nobody_elses_questions(engine: Engine) -> None:
    asked(engine, "mine", "ada")
    asked(engine, "theirs", "ben")
    assert questions(engine, "ada") == ["mine"]


def test_questions_that_ask_for_the_same_stand_together_by_how_many_people_ask(engine: Engine, base_encoder) -> None:
    for question, user in (
        ("Who won the world cup in 1990?", "ada"),
        ("Where can I park my bicycle?", "ada"),
        ("Is there bicycle parking near the office?", "ben"),
        ("Where can I park my bicycle?", "ben"),
    ):
        asked(engine, question, user)

    def nearest(queries, k):
        return [[("p", 0.25)] for _ in queries]

    parking, cup = find_gaps(engine, base_encoder, nearest)
    assert parking.questions == ("Where can I park my bicycle?", "Is there bicycle parking near the office?")
    assert (parking.n_asked, parking.n_people, parking.passage_id, parking.cosine) == (3, 2, "p", 0.25)
    assert parking.name == "park · bicycle"
    assert (cup.questions, cup.n_people) == (("Who won the world cup in 1990?",), 1)
    assert len(find_gaps(engine, base_encoder, nearest, n=1)) == 1


def test_no_vector_of_a_question_that_was_only_typed_is_kept(engine: Engine, base_encoder) -> None:
    asked(engine, "Where can I park my bicycle?")
    assert len(find_gaps(engine, base_encoder, nowhere)) == 1
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(vectors)) == 0


def test_without_gaps_nothing_is_encoded(engine: Engine) -> None:
    assert find_gaps(engine, None, nowhere) == []  # type: ignore[arg-type]


def test_any_two_of_a_group_are_alike_however_long_the_chain_between_them() -> None:
    step = np.arccos(MIN_GROUP_COSINE + 0.05)
    angles = np.array([0, step, 2 * step, np.pi])
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    groups = group_by_cosine(chain)
    assert sorted(row for rows in groups for row in rows) == [0, 1, 2, 3]
    assert all(
        chain[row] @ chain[second] >= MIN_GROUP_COSINE - 1e-6 for rows in groups for row in rows for second in rows
    )
    assert sorted(map(len, groups)) == [1, 1, 2]
    assert group_by_cosine(chain[:1]) == [[0]]


@pytest.mark.parametrize(("some", "name"), [(["???"], "???"), (["Why the loan?"], "loan")])
def test_a_gap_without_common_words_is_called_by_what_it_has(some: list[str], name: str) -> None:
    assert name_group(some, {}) == name
