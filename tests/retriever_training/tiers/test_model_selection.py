"""Choosing on dev."""

from __future__ import annotations

import numpy as np
import pytest

from eval.statistics.ranking_metrics import measure_per_question, run_from_rankings
from rag.index.bm25 import Bm25Index
from rag.retrieval.fusion import normalise_bm25, top_fused
from retriever_training.tiers.model_selection import (
    LEXICAL_WEIGHTS,
    MIN_DEV_QUESTIONS,
    DevSet,
    binary_ndcg,
    choose_lexical_weight,
    ndcg_by_lexical_weight,
    within_one_standard_error,
)

N = 40


def dev_set(words: list[float]) -> DevSet:
    """Every question has the same three passages; the first is right. Its cosines are .5, .6 and .1."""
    return DevSet.of(np.tile(np.array(words, np.float32), (N, 1)), [frozenset({0})] * N)


PASSAGES = np.eye(3, dtype=np.float32)
QUESTIONS = np.tile(np.array([0.5, 0.6, 0.1], np.float32), (N, 1))


def test_the_default_stands_where_every_weight_is_as_good() -> None:
    assert choose_lexical_weight(dev_set([4.0, 0.0, 0.0]), QUESTIONS, PASSAGES, default=0.25) == (0.25, 1.0)


def test_a_weight_that_is_clearly_better_is_taken() -> None:
    """BM25 says 1 for the right passage, 0.9 for the wrong one: only a weight of 1 or more turns .5 and .6 round."""
    words = [1.0, 0.9, 0.0]
    questions = np.tile(np.array([0.55, 0.62, 0.1], np.float32), (N, 1))
    weight, mean = choose_lexical_weight(dev_set(words), questions, PASSAGES, default=0.25)
    assert (weight, mean) == (1.0, 1.0)


def test_with_few_dev_questions_the_default_stands() -> None:
    few = DevSet.of(np.tile(np.array([1.0, 0.9, 0.0], np.float32), (MIN_DEV_QUESTIONS - 1, 1)), [frozenset({0})] * 19)
    assert choose_lexical_weight(few, QUESTIONS[: MIN_DEV_QUESTIONS - 1], PASSAGES, default=0.25)[0] == 0.25


def test_without_dev_questions_nothing_is_measured() -> None:
    empty = DevSet.of(np.zeros((0, 3), np.float32), [])
    assert choose_lexical_weight(empty, QUESTIONS[:0], PASSAGES, default=0.25) == (0.25, 0.0)


def test_every_weight_is_measured_as_it_serves() -> None:
    """Against `top_fused`, question by question; scores of few values, so that there are ties."""
    rng = np.random.default_rng(3)
    passages, questions = (np.round(rng.normal(size=(n, 8)), 1).astype(np.float32) for n in (400, MIN_DEV_QUESTIONS))
    scores = np.maximum(rng.integers(-3, 4, size=(MIN_DEV_QUESTIONS, 400)), 0).astype(np.float32)
    scores[0] = 0.0
    right = [frozenset(map(int, rng.integers(400, size=3))) for _ in questions]
    for candidates in (15, 100, 1000):
        found = ndcg_by_lexical_weight(DevSet.of(scores, right), questions, passages, 0.33, candidates)
        assert list(found) == sorted({0.33, *LEXICAL_WEIGHTS})
        for weight, values in found.items():
            served = [
                binary_ndcg(top_fused(cosines, normalise_bm25(words), weight, candidates, 10), right_row)
                for cosines, words, right_row in zip(questions @ passages.T, scores, right, strict=True)
            ]
            assert values.tolist() == served


def test_questions_are_asked_one_by_one_with_the_same_scores() -> None:
    lexical = Bm25Index.build(["a", "b", "c"], ["red fox", "red hen", "blue hen"])
    questions, right = ["Which red hen?", "nothing"], [frozenset({1}), frozenset({0})]
    asked, at_once = (
        DevSet.from_questions(lexical, questions, right),
        DevSet.of(lexical.score_matrix(questions), right),
    )
    for single, batched_words in zip(asked.words, at_once.words, strict=True):
        assert (single.rows.tolist(), single.values.tolist()) == (
            batched_words.rows.tolist(),
            batched_words.values.tolist(),
        )
    assert asked.words[1].top(3).tolist() == []


@pytest.mark.parametrize("right", [{7}, {7, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {99}])
def test_the_quick_ndcg_is_the_one_of_ir_measures(right: set[int]) -> None:
    ranking = [4, 7, 3, 0, 11, 12, 5, 6, 8, 9]
    measured = measure_per_question(
        {"q": {str(row): 1 for row in right}}, run_from_rankings({"q": [str(row) for row in ranking]})
    )
    assert binary_ndcg(np.array(ranking), frozenset(right)) == pytest.approx(measured["nDCG@10"]["q"])


def test_the_weights_tried_include_no_lexical_side_at_all() -> None:
    assert 0.0 in LEXICAL_WEIGHTS


def test_a_setting_within_one_error_of_the_best_is_nearly_best() -> None:
    best = np.array([1.0, 1.0, 0.0, 1.0])
    luck = np.array([1.0, 0.5, 0.0, 1.0])  # behind by .125 ± .108: more than one error
    noise = np.array([0.0, 1.0, 0.9, 1.0])  # behind by .025 ± .335
    assert within_one_standard_error({"best": best, "luck": luck, "noise": noise}) == ["best", "noise"]
    assert within_one_standard_error({"a": np.zeros(0), "b": np.zeros(0)}) == ["a", "b"]
