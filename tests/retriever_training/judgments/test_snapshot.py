"""What a night measures on: which held-out questions count, and which of their passages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np

from rag.index.bm25 import Bm25Index
from rag.records import Judgment, Passage
from retriever_training.judgments.aggregate import AggregatedJudgments
from retriever_training.judgments.snapshot import MIN_CONFIRMED_QUESTIONS, TrainingSnapshot, is_confirmed_nearby
from retriever_training.judgments.splits import split_of

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HELD_OUT = [text for text in (f"question {n}" for n in range(3000)) if split_of(text) == "gate"]


class Named:
    """A passage as far as evidence looks at it."""

    def __init__(self, passage_id: str) -> None:
        self.passage_id = passage_id


def evidence(*judgments: Judgment) -> TrainingSnapshot:
    passages = [cast("Passage", Named(name)) for name in ("a", "b", "c")]
    return TrainingSnapshot(
        passages,
        Bm25Index.build(["a", "b", "c"], ["one", "two", "three"]),
        AggregatedJudgments(judgments=judgments, dropped={}),
    )


def positive(question: str, passage_id: str, n_people: int, weight: float) -> Judgment:
    return Judgment(
        question=question,
        passage_id=passage_id,
        label="positive",
        probability=weight,
        n_people=n_people,
        weight=weight,
        latest_at=NOON,
    )


def test_only_the_best_supported_passages_of_a_question_are_measured_on() -> None:
    question = HELD_OUT[0]
    given = evidence(
        positive(question, "a", 2, 0.94), positive(question, "b", 1, 0.64), positive(question, "c", 2, 0.94)
    )
    assert given.held_out("gate").right == ({0: 0.94, 2: 0.94},)
    assert given.asked("gate").right == ({0: 0.94, 1: 0.64, 2: 0.94},)


def test_a_question_with_kind_words_only_is_not_measured_on() -> None:
    assert len(evidence(positive(HELD_OUT[0], "a", 1, 0.24)).held_out("gate")) == 0


def test_where_enough_questions_are_confirmed_the_others_wait() -> None:
    confirmed = [positive(question, "a", 2, 0.94) for question in HELD_OUT[:MIN_CONFIRMED_QUESTIONS]]
    alone = positive(HELD_OUT[MIN_CONFIRMED_QUESTIONS], "b", 1, 0.8)
    assert len(evidence(*confirmed[1:], alone).held_out("gate")) == MIN_CONFIRMED_QUESTIONS
    assert len(evidence(*confirmed, alone).held_out("gate")) == MIN_CONFIRMED_QUESTIONS
    assert alone.question not in evidence(*confirmed, alone).held_out("gate").questions
    assert alone.question in evidence(*confirmed[1:], alone).held_out("gate").questions


def judged_on(day: int, question: str, passage_id: str = "a") -> Judgment:
    return Judgment(
        question=question,
        passage_id=passage_id,
        label="positive",
        probability=0.9,
        n_people=1,
        weight=0.9,
        latest_at=NOON + timedelta(days=day),
    )


def test_the_newest_fifth_of_the_held_out_questions_can_be_looked_at_alone() -> None:
    days = [3, 9, 1, 7, 5, 8, 2, 6, 4, 0]
    held_out = evidence(*(judged_on(day, text) for day, text in zip(days, HELD_OUT, strict=False))).held_out("gate")
    newest = {text for text, is_new in zip(held_out.questions, held_out.newest(), strict=True) if is_new}
    assert newest == {HELD_OUT[days.index(9)], HELD_OUT[days.index(8)]}


def test_a_question_is_as_new_as_the_last_word_on_it() -> None:
    held_out = evidence(judged_on(0, HELD_OUT[0]), judged_on(5, HELD_OUT[0], "b")).asked("gate")
    assert held_out.given_at == (NOON + timedelta(days=5),)


def test_questions_judged_at_one_time_have_no_newest() -> None:
    held_out = evidence(*(judged_on(0, text) for text in HELD_OUT[:20])).held_out("gate")
    assert not held_out.newest().any()
    assert not evidence().held_out("gate").newest().any()


def on_a_circle(questions: Sequence[str]) -> np.ndarray:
    """Question k stands at k · 20°: neighbours have a cosine of .94, of .77 two steps on, of .50 three steps on."""
    angles = np.radians([20.0 * HELD_OUT.index(question) for question in questions])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_a_near_question_that_names_the_same_passage_confirms() -> None:
    """Question 0 is confirmed by the second one on (.77), question 3 by nobody: its passage is named too far off."""
    named = ["a", "b", "a", "c", "b", "b"]
    given = evidence(*(positive(HELD_OUT[index], name, 1, 0.8) for index, name in enumerate(named)))
    asked = given.asked("gate")
    confirmed = is_confirmed_nearby(asked, [], on_a_circle)
    assert {HELD_OUT.index(asked.questions[row]) for row in np.flatnonzero(confirmed)} == {0, 2, 4, 5}


def test_people_who_ask_alone_are_measured_on_where_a_near_question_agrees() -> None:
    """Every other question has a passage that the one before named; the rest name one that nobody else names nearby."""

    def two_by_two(questions: Sequence[str]) -> np.ndarray:
        axes = [HELD_OUT.index(question) // 2 for question in questions]
        return np.eye(MIN_CONFIRMED_QUESTIONS, dtype=np.float32)[axes]

    alike = [positive(HELD_OUT[index], "a", 1, 0.8) for index in range(MIN_CONFIRMED_QUESTIONS)]
    apart = [positive(HELD_OUT[MIN_CONFIRMED_QUESTIONS + index], "bc"[index % 2], 1, 0.8) for index in range(20)]
    given = evidence(*alike, *apart)
    assert len(given.held_out("gate")) == MIN_CONFIRMED_QUESTIONS + 20
    assert set(given.held_out("gate", two_by_two).questions) == set(HELD_OUT[:MIN_CONFIRMED_QUESTIONS])
    fewer = evidence(*alike[2:], *apart)
    assert len(fewer.held_out("gate", two_by_two)) == MIN_CONFIRMED_QUESTIONS + 18, "98 are too few to stand for all"
