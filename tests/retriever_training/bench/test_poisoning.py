"""Nights under attack, on a small made-up library that a map can learn: what is promoted, and what is not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.bench.poisoning import ATTACKS, N_ATTACK_NIGHTS, AttackOutcome, run_attack
from retriever_training.bench.simulated_library import SimulatedLibrary, passages_shown_by, simulate_verdicts
from retriever_training.simulation.simulated_users import Behaviour

DIM, N_PASSAGES, N_ASKED, N_GOLDEN = 12, 60, 420, 150


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def world() -> SimulatedLibrary:
    """Questions lie where their passage is, but with two pairs of axes half turned: the base is wrong, a map is right."""
    rng = np.random.default_rng(5)
    matrix = unit(rng.normal(size=(N_PASSAGES, DIM)))
    turned = np.eye(DIM)
    for axis in (0, 2):
        turned[axis : axis + 2, axis : axis + 2] = [[0.2, 1.0], [-1.0, 0.2]]
    passages = [
        Passage(
            passage_id=f"p{n}",
            document_id=f"d{n}",
            source=f"s{n}",
            title="",
            heading="",
            text=f"passage{n}",
            start=0,
            end=9,
        )
        for n in range(N_PASSAGES)
    ]
    right = rng.integers(N_PASSAGES, size=N_ASKED + N_GOLDEN)
    vectors = unit(matrix[right] @ turned + 0.2 * rng.normal(size=(len(right), DIM)))
    questions = [f"ask{n} thing{n}" for n in range(len(right))]
    labels = {question: frozenset({f"p{index}"}) for question, index in zip(questions, right, strict=True)}
    lexical = Bm25Index.build([passage.passage_id for passage in passages], [passage.text for passage in passages])
    return SimulatedLibrary(
        passages=passages,
        matrix=matrix,
        lexical=lexical,
        asked=dict(list(labels.items())[:N_ASKED]),
        golden=dict(list(labels.items())[N_ASKED:]),
        query_vector_of=dict(zip(questions, vectors, strict=True)),
    )


@pytest.fixture(scope="module")
def clean(world: SimulatedLibrary) -> AttackOutcome:
    return run_attack(world, "nobody", 1)


def test_honest_people_get_a_better_version(clean: AttackOutcome) -> None:
    assert clean.n_promoted == 1
    assert clean.golden_change > 0.05
    assert clean.waiting == ()


def test_three_wrong_votes_in_ten_keep_most_of_the_gain(world: SimulatedLibrary, clean: AttackOutcome) -> None:
    flipped = run_attack(world, "30 % flipped", 1)
    assert flipped.n_promoted == 1
    assert flipped.golden_change >= 0.7 * clean.golden_change


@pytest.mark.parametrize("attack", ["50 % flipped", "one liar", "one passage"])
def test_no_attack_promotes_what_costs_a_point(world: SimulatedLibrary, attack: str) -> None:
    outcome = run_attack(world, attack, 2)
    assert outcome.worst_promotion > -0.01
    assert outcome.golden_change > -0.01


def test_who_always_votes_against_the_truth_is_found_out_within_seven_nights(world: SimulatedLibrary) -> None:
    outcome = run_attack(world, "5 % for seven nights", 3)
    assert set(outcome.waiting) == {"liar-01", "liar-02"}
    assert outcome.worst_promotion > -0.01


def test_the_liar_tells_a_thousand_lies_or_as_many_as_there_are_questions_for(world: SimulatedLibrary) -> None:
    (verdicts,) = ATTACKS["one liar"](world, passages_shown_by(world, world.base), 1)
    lies = [verdict for verdict in verdicts if verdict.user == "liar"]
    assert len(lies) == 2 * N_ASKED // 3
    assert not any(verdict.passage_id in world.asked[verdict.question] for verdict in lies)
    assert not {verdict.question for verdict in lies} & {
        verdict.question for verdict in verdicts if verdict.user != "liar"
    }


def test_seven_nights_ask_every_question_and_forget_no_vote(world: SimulatedLibrary) -> None:
    nights = list(ATTACKS["5 % for seven nights"](world, passages_shown_by(world, world.base), 1))
    assert len(nights) == N_ATTACK_NIGHTS
    assert all(set(before) <= set(after) for before, after in pairwise(nights))
    honest = simulate_verdicts(world.asked, passages_shown_by(world, world.base), Behaviour(voices=3), 1)
    assert len({verdict.question for verdict in nights[-1]}) == pytest.approx(
        len({verdict.question for verdict in honest}), rel=0.05
    )


def test_equal_seeds_give_equal_attacks(world: SimulatedLibrary) -> None:
    for name in ("30 % flipped", "one liar", "one passage"):
        first, again = (next(ATTACKS[name](world, passages_shown_by(world, world.base), 4)) for _ in range(2))
        assert first == again
