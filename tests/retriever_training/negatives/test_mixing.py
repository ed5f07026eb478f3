"""Mixing negatives into rows: caps, from easy to hard, taking turns, replay, and what a row tells of itself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.errors import UsageError
from rag.index.bm25 import Bm25Index
from retriever_training.negatives.candidates.records import (
    Candidate,
    MinedNegatives,
    MiningContext,
    VersionView,
    rank_candidates,
)
from retriever_training.negatives.curriculum import competence, easiest_share
from retriever_training.negatives.mixing import (
    TrainingRow,
    choose_negatives,
    mine_negatives,
    mix_rows,
    rows_as_json,
    rows_of_epoch,
)
from retriever_training.negatives.replay import replayed
from retriever_training.negatives.rotation import hash_shuffled, take_turn


def unit(rows: list[list[float]]) -> NDArray[np.float32]:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def a_mine(n_questions: int, n_passages: int = 30) -> MiningContext:
    """Question i has the right passage i; the question's vector is (1, 0), passage j's is turned by j tenths of a right angle."""
    angles = np.arange(n_passages) * np.pi / 20
    texts = [f"passage number {index}" for index in range(n_passages)]
    ids = [f"p{index}" for index in range(n_passages)]
    return MiningContext(
        questions=tuple(f"question {index}" for index in range(n_questions)),
        positives=tuple(frozenset({index}) for index in range(n_questions)),
        rejected=((),) * n_questions,
        passage_ids=tuple(ids),
        question_vectors=unit([[1, 0]] * n_questions),
        passage_vectors=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        lexical=Bm25Index.build(ids, texts),
        texts=texts,
        seed=5,
    )


def found(source: str, *passages: int) -> MinedNegatives:
    return MinedNegatives(tuple(rank_candidates(source, passages, [0.0] * len(passages))))


def rights(n: int) -> list[dict[int, float]]:
    return [{index: 1.0} for index in range(n)]


def held(rows: list[TrainingRow]) -> Counter[int]:
    return Counter(negative.passage for row in rows for negative in row.negatives)


# ---- caps


def test_a_passage_that_everyone_would_hold_is_replaced_by_the_next() -> None:
    """Eight rows, all of which find 20 first and 21 second: five may hold 20, the other three get 21."""
    by_source = {"dense": [found("dense", 20, 21)] * 8}
    rows, removed = mix_rows(a_mine(8), by_source, rights(8), 1, {"dense": 1}, max_share=0.1)
    assert [row.negatives[0].passage for row in rows] == [20, 20, 20, 20, 20, 21, 21, 21]
    assert removed == {"in_too_many_rows:5": 3}
    assert rows[0].removed == ()
    assert rows[7].removed == (("in_too_many_rows:5", 1),)


def test_the_cap_grows_with_the_number_of_rows() -> None:
    by_source = {"dense": [found("dense", 20, 21)] * 20}
    rows, _ = mix_rows(a_mine(20), by_source, rights(20), 1, {"dense": 1}, max_share=0.6)
    assert held(rows) == {20: 12, 21: 8}


def test_a_passage_voted_down_everywhere_is_pushed_away_from_a_few_questions_only() -> None:
    by_source = {"feedback": [found("feedback", 20)] * 10, "dense": [found("dense", 21, 22)] * 10}
    rows, _ = mix_rows(a_mine(10), by_source, rights(10), 1, {"feedback": 1, "dense": 1})
    assert held(rows)[20] == 5


def test_a_row_whose_candidates_are_all_held_goes_without() -> None:
    by_source = {"dense": [found("dense", 20)] * 7}
    rows, removed = mix_rows(a_mine(7), by_source, rights(7), 2, {"dense": 2})
    assert [len(row.negatives) for row in rows] == [1, 1, 1, 1, 1, 0, 0]
    assert removed == {"in_too_many_rows:5": 2}


def test_a_question_with_two_right_passages_makes_two_rows_that_both_count() -> None:
    """Its two rows hold 20; of the four that follow, three may: five in all."""
    by_source = {"dense": [found("dense", 20, 21)] * 5}
    right = [{0: 0.9, 9: 0.8}, *rights(5)[1:]]
    rows, _ = mix_rows(a_mine(5), by_source, right, 1, {"dense": 1}, max_share=0.1)
    assert [(row.positive_id, row.weight) for row in rows[:2]] == [("p0", 0.9), ("p9", 0.8)]
    assert held(rows) == {20: 5, 21: 1}


# ---- quotas, and cleaning once for all sources


def test_what_is_full_is_passed_over_within_the_quota() -> None:
    by_source = {"dense": [found("dense", 1, 2, 3)], "bm25": [found("bm25", 1, 4)]}
    chosen = choose_negatives(by_source, 0, 3, {"dense": 1, "bm25": 1}, full={1})
    assert [(candidate.source, candidate.passage) for candidate in chosen] == [("dense", 2), ("bm25", 4), ("dense", 3)]


def test_cleaning_all_sources_at_once_leaves_each_its_own() -> None:
    mine = a_mine(2)
    view = VersionView("the base", mine.question_vectors, mine.passage_vectors)
    together = mine_negatives(mine, [view], mine.texts, finders=("dense", "random"), pool=6)
    for name in ("dense", "random"):
        (alone,) = mine_negatives(mine, [view], mine.texts, finders=(name,), pool=6).values()
        assert together[name] == alone
    assert any(candidate.removed for candidate in together["dense"])


# ---- what a row tells


def test_a_margin_is_the_right_passages_cosine_less_the_negatives() -> None:
    """Question 0's right passage lies on it, cosine 1; passage 10 lies at a right angle, cosine 0; passage 20 opposite, -1."""
    rows, _ = mix_rows(a_mine(1), {"dense": [found("dense", 10, 20)]}, rights(1), 2, {"dense": 2})
    assert rows[0].margins == pytest.approx((1.0, 2.0), abs=1e-6)


def test_margins_belong_to_the_right_passage_of_their_row() -> None:
    right = [{0: 1.0, 10: 0.5}]
    rows, _ = mix_rows(a_mine(1), {"dense": [found("dense", 20)]}, right, 1, {"dense": 1})
    assert [row.margins[0] for row in rows] == pytest.approx([2.0, 1.0], abs=1e-6)


def test_a_row_says_where_every_negative_comes_from_and_what_was_left_out() -> None:
    kept = Candidate(passage=10, source="dense", rank=2, score=0.5, version="abc123")
    mined = MinedNegatives((kept,), ((Candidate(passage=1, source="dense", rank=1, score=0.9), "is_positive"),))
    mine = a_mine(1)
    rows, removed = mix_rows(mine, {"dense": [mined]}, [{0: 0.75}], 1)
    (line,) = rows_as_json(mine, rows)
    assert line == {
        "query": "question 0",
        "positive": "p0",
        "weight": 0.75,
        "split": "train",
        "seed": 5,
        "negatives": [
            {"passage_id": "p10", "source": "dense", "version": "abc123", "rank": 2, "score": 0.5, "margin": 1.0}
        ],
        "removed": {"is_positive": 1},
    }
    assert removed == {"is_positive": 1}


# ---- from easy to hard


def test_the_first_epoch_draws_from_the_easier_half_and_the_last_from_all() -> None:
    """Harder is nearer to the question: of 1, 2, 9 and 10 tenths of a right angle the last two are the easy half."""
    rows, _ = mix_rows(a_mine(1), {"dense": [found("dense", 1, 2, 9, 10)]}, rights(1), 4, {"dense": 4})
    first = rows_of_epoch(rows, 2, 0, 3, seed=1, easy_first=True)
    assert {negative.passage for negative in first[0].negatives} == {9, 10}
    last = {tuple(negative.passage for negative in rows_of_epoch(rows, 4, 2, 3, seed=1, easy_first=True)[0].negatives)}
    assert {passage for passages in last for passage in passages} == {1, 2, 9, 10}


def test_every_epoch_opens_more_of_the_pool() -> None:
    """√(t/4 · 3/4 + 1/4) for t = 0 … 4."""
    shares = [competence(epoch, 5) for epoch in range(5)]
    assert shares == pytest.approx([0.5, 0.6614, 0.7906, 0.9014, 1.0], abs=1e-4)


def test_a_curriculum_never_leaves_a_row_fewer_than_it_asks_for() -> None:
    assert easiest_share([0.3, 0.2, 0.1], 0.1, at_least=2) == [1, 2]
    assert easiest_share([0.3], 0.1, at_least=2) == [0]


# ---- taking turns


def test_all_of_a_pool_come_before_any_comes_again() -> None:
    rows, _ = mix_rows(a_mine(1), {"dense": [found("dense", *range(10, 16))]}, rights(1), 6, {"dense": 6})
    epochs = [rows_of_epoch(rows, 2, epoch, 4, seed=1)[0] for epoch in range(4)]
    drawn = [{negative.passage for negative in row.negatives} for row in epochs]
    assert drawn[0] | drawn[1] | drawn[2] == set(range(10, 16))
    assert drawn[3] == drawn[0]


def test_a_negative_keeps_its_margin_when_it_takes_its_turn() -> None:
    rows, _ = mix_rows(a_mine(1), {"dense": [found("dense", 5, 10, 15)]}, rights(1), 3, {"dense": 3})
    margin_of = dict(zip((5, 10, 15), rows[0].margins, strict=True))
    for epoch in range(3):
        (row,) = rows_of_epoch(rows, 1, epoch, 3, seed=1)
        assert row.margins == (margin_of[row.negatives[0].passage],)


def test_the_slice_starts_at_the_epoch_times_n_modulo_the_pool() -> None:
    """Tevatron: offset = epoch * negative_size % len(pool), and the pool is written twice behind itself."""
    pool = [4, 8, 15, 16, 23]
    for epoch in range(7):
        offset = epoch * 3 % 5
        assert take_turn(pool, 3, [pool] * (epoch + 1)) == (pool * 2)[offset : offset + 3]
    assert take_turn([], 3, [pool, pool]) == []
    assert take_turn([4], 3, [pool, pool]) == [4]


def test_what_a_curriculum_opens_comes_at_once() -> None:
    """Two of four are open at first; 15 and 23 open in the second epoch and have not come yet."""
    assert take_turn([15, 4, 8, 23], 2, [{4, 8}]) == [4, 8]
    assert take_turn([15, 4, 8, 23], 2, [{4, 8}, {4, 8, 15, 23}]) == [15, 23]


def test_every_row_has_an_order_of_its_own_and_keeps_it() -> None:
    orders = {tuple(hash_shuffled(range(8), f"question {index}", 1)) for index in range(20)}
    assert len(orders) > 15
    assert hash_shuffled(range(8), "a", 1) == hash_shuffled(range(8), "a", 1) != hash_shuffled(range(8), "a", 2)


# ---- replay


def old(n: int) -> list[TrainingRow]:
    return [
        TrainingRow(question=f"old question {index}", positive_id="p1", weight=1.0, negatives=()) for index in range(n)
    ]


def new(n: int) -> list[TrainingRow]:
    return [
        TrainingRow(question=f"new question {index}", positive_id="p2", weight=1.0, negatives=()) for index in range(n)
    ]


def test_a_share_of_all_rows_are_old_ones() -> None:
    rows = replayed(new(80), old(100), 0.2, seed=1)
    assert rows[:80] == new(80)
    assert len(rows) == 100
    assert len({row.question for row in rows[80:]}) == 20
    assert {row.split for row in rows[80:]} == {"replay"}
    assert rows == replayed(new(80), old(100), 0.2, seed=1)


def test_replay_adds_no_more_than_there_is_and_nothing_twice() -> None:
    assert len(replayed(new(80), old(7), 0.5, seed=1)) == 87
    assert replayed(new(80), new(80), 0.5, seed=1) == new(80)
    assert replayed(new(80), old(7), 0.0, seed=1) == new(80)


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_a_share_that_leaves_no_place_for_new_rows_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="from 0 to below 1"):
        replayed(new(1), old(1), share, seed=1)
