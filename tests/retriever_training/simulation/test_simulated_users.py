"""Simulated people: what they say of what they saw, how often they err, and that it can be repeated."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import Engine

from rag.feedback.feedback_store import FeedbackStore
from rag.index.bm25 import Bm25Index
from rag.records import ShownPassage
from retriever_training.simulation.simulated_users import (
    Behaviour,
    SimulatedTurn,
    record_simulated_turns,
    served_passages,
    simulate_users,
    simulate_votes,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SHOWN = tuple(
    ShownPassage(passage_id=f"p{rank}", rank=rank, score=1 / rank, dense=1 / rank, lexical=0.0, cited=False)
    for rank in range(1, 7)
)
CAREFUL = Behaviour(error=0.0, rejects=1.0, searches=1.0)


def said(shown: list[str], right: set[str], behaviour: Behaviour = CAREFUL) -> dict[str, str]:
    return simulate_votes(shown, right, behaviour, np.random.default_rng(1))


def many(error: float, right: str = "p3", n: int = 2000, **more: float) -> list[SimulatedTurn]:
    questions = {f"question {number}": {right} for number in range(n)}
    shown = dict.fromkeys(questions, SHOWN)
    behaviour = Behaviour(error=error, **more)  # type: ignore[arg-type]
    return list(simulate_users(questions, shown, encoder_id="e", asked_at=NOON, behaviour=behaviour))


def test_right_passage_on_top_is_helpful_and_ends_the_reading() -> None:
    assert said(["right", "b", "c"], {"right"}) == {"right": "helpful"}


def test_right_passage_further_down_is_pinned_and_those_above_are_rejected() -> None:
    assert said(["a", "b", "right", "d"], {"right"}) == {"a": "not_relevant", "b": "not_relevant", "right": "pin"}


def test_passage_that_is_not_shown_is_searched_for_and_pinned() -> None:
    assert said(["a"], {"right"}) == {"a": "not_relevant", "right": "pin"}
    assert said([], {"right"}) == {"right": "pin"}
    assert said(["a"], {"right"}, Behaviour(error=0.0, rejects=0.0, searches=0.0)) == {}


def test_people_without_errors_are_never_wrong() -> None:
    assert sum(verdict.n_wrong for verdict in many(0.0, n=300)) == 0


@pytest.mark.parametrize("right", ["p1", "p3", "not shown"])
def test_one_person_in_five_is_mistaken(right: str) -> None:
    voters = [verdict for verdict in many(0.2, right, rejects=0.0, searches=1.0) if verdict.verdicts]
    assert sum(voter.n_wrong for voter in voters) / len(voters) == pytest.approx(0.2, abs=0.02)


def test_people_who_are_always_mistaken_name_only_wrong_passages() -> None:
    asked = many(1.0, n=300)
    assert all(turn.n_wrong == len(turn.verdicts) == 1 for turn in asked)
    assert {turn.verdicts[0].verdict for turn in asked} == {"helpful", "not_relevant"}


def test_mistaken_person_who_sees_only_the_right_passage_rejects_it() -> None:
    always = Behaviour(error=1.0)
    assert said(["right"], {"right"}, always) == {"right": "not_relevant"}
    assert said([], {"right"}, always) == {}


def test_three_voices_are_three_people_on_each_question() -> None:
    asked = many(0.2, n=400, voices=3)
    askers = Counter((turn.turn.question, turn.turn.user) for turn in asked)
    assert len(asked) == len(askers) == 1200
    assert len({turn.turn.user for turn in asked}) == 20
    assert len({turn.turn.turn_id for turn in asked}) == len(asked)


def test_same_seed_says_the_same_and_another_does_not() -> None:
    questions = {f"question {number}": {"p2"} for number in range(50)}
    shown = dict.fromkeys(questions, SHOWN)
    first, again, other = (
        list(simulate_users(questions, shown, encoder_id="e", asked_at=NOON, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_turns_are_marked_as_simulated_and_hold_what_was_shown() -> None:
    turn = many(0.2, n=1)[0].turn
    assert (turn.origin, turn.shown, turn.encoder_id) == ("simulated", SHOWN, "e")


def test_votes_are_stored_once_and_are_such_as_a_person_may_give(engine: Engine) -> None:
    feedback = FeedbackStore(engine)
    asked = many(0.2, n=60) + many(0.2, "not shown", n=60)[:0]
    n_votes = sum(len(turn.verdicts) for turn in asked)
    assert record_simulated_turns(feedback, asked) == n_votes
    assert record_simulated_turns(feedback, asked) == 0
    assert feedback.n_turns("simulated") == len(asked)
    for verdict in feedback.standing():
        feedback.record_verdict(verdict.user, verdict.turn_id, verdict.passage_id, verdict.verdict)  # is not refused
    assert len(feedback.standing()) == n_votes


def test_what_is_shown_carries_the_scores_of_serving() -> None:
    texts = ["bees dance in the hive", "wasps build with paper", "ants carry leaves"]
    vectors = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], np.float32)
    lexical = Bm25Index.build(["p0", "p1", "p2"], texts)
    shown = served_passages(
        ["who does dance"], np.array([[0.6, 0.8]], np.float32), ["p0", "p1", "p2"], vectors, lexical, weight=0.5, k=2
    )
    # Cosines .6, 1, .8; only p0 has the word, so it gets .5 · 1 on top: 1.1 before 1.0.
    first, second = shown["who does dance"]
    assert (first.passage_id, first.rank, first.lexical) == ("p0", 1, 1.0)
    assert (second.passage_id, second.rank, second.lexical) == ("p1", 2, 0.0)
    assert first.score == pytest.approx(1.1)
    assert second.score == pytest.approx(1.0)
