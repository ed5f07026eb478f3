"""What a night measures on: which held-out questions count, and which of their passages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from rag.lexical import Lexical
from rag.records import Judgment, Passage
from retriever_training.evidence import CONFIRMED_FROM, Evidence
from retriever_training.judgments import Judgments, split_of

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HELD_OUT = [text for text in (f"question {n}" for n in range(3000)) if split_of(text) == "gate"]


class Named:
    """A passage as far as evidence looks at it."""

    def __init__(self, passage_id: str) -> None:
        self.passage_id = passage_id


def evidence(*judgments: Judgment) -> Evidence:
    passages = [cast("Passage", Named(name)) for name in ("a", "b", "c")]
    return Evidence(passages, Lexical.build(["a", "b", "c"], ["one", "two", "three"]), Judgments(judgments, {}))


def positive(question: str, passage_id: str, n_people: int, weight: float) -> Judgment:
    return Judgment(question, passage_id, "positive", weight, n_people, weight, NOON)


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
    confirmed = [positive(question, "a", 2, 0.94) for question in HELD_OUT[:CONFIRMED_FROM]]
    alone = positive(HELD_OUT[CONFIRMED_FROM], "b", 1, 0.8)
    assert len(evidence(*confirmed[1:], alone).held_out("gate")) == CONFIRMED_FROM
    assert len(evidence(*confirmed, alone).held_out("gate")) == CONFIRMED_FROM
    assert alone.question not in evidence(*confirmed, alone).held_out("gate").questions
    assert alone.question in evidence(*confirmed[1:], alone).held_out("gate").questions
