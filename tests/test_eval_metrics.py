"""Measures per question, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from eval.metrics import MEASURES, from_rankings, mean, per_question


def test_right_passage_on_rank_three_is_worth_a_half_in_ndcg_and_a_third_in_rr() -> None:
    values = per_question({"q": {"right": 1}}, from_rankings({"q": ["a", "b", "right"]}))
    # DCG = 1 / log2(3 + 1) = 0.5, the ideal DCG is 1 / log2(2) = 1.
    assert values["nDCG@10"]["q"] == pytest.approx(0.5)
    assert values["RR@10"]["q"] == pytest.approx(1 / 3)
    assert values["R@10"]["q"] == 1.0


def test_grades_count_as_gains() -> None:
    values = per_question({"q": {"best": 2, "good": 1}}, from_rankings({"q": ["good", "other", "best"]}))
    # DCG = 1/log2(2) + 2/log2(4) = 2; ideal = 2/log2(2) + 1/log2(3) = 2.63093.
    assert values["nDCG@10"]["q"] == pytest.approx(2 / (2 + 1 / math.log2(3)))
    assert values["RR@10"]["q"] == 1.0


def test_rank_eleven_is_worth_nothing() -> None:
    ranking = [f"wrong-{rank}" for rank in range(10)] + ["right"]
    values = per_question({"q": {"right": 1}}, from_rankings({"q": ranking}))
    assert [values[name]["q"] for name in MEASURES] == [0.0, 0.0, 0.0]


def test_question_without_results_counts_as_zero() -> None:
    qrels = {"found": {"right": 1}, "silent": {"right": 1}}
    for run in (from_rankings({"found": ["right"]}), from_rankings({"found": ["right"], "silent": []})):
        values = per_question(qrels, run)
        assert values["nDCG@10"] == {"found": 1.0, "silent": 0.0}
        assert mean(values["R@10"].values()) == 0.5


def test_empty_run_is_zero_for_every_question() -> None:
    assert per_question({"q": {"right": 1}}, {})["nDCG@10"] == {"q": 0.0}


def test_question_without_a_right_passage_is_zero_and_not_dropped() -> None:
    assert per_question({"q": {"wrong": 0}}, from_rankings({"q": ["wrong"]}))["RR@10"] == {"q": 0.0}


def test_questions_outside_the_qrels_are_ignored() -> None:
    assert per_question({"q": {"right": 1}}, from_rankings({"q": ["right"], "z": ["x"]}))["R@10"] == {"q": 1.0}


def test_order_of_a_ranking_survives_ids_that_sort_otherwise() -> None:
    """trec_eval breaks ties by id, descending; a run made of a ranking must not have ties."""
    values = per_question({"q": {"a": 1}}, from_rankings({"q": ["a", "z", "y"]}))
    assert values["RR@10"]["q"] == 1.0
