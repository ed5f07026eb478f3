"""Measures per question, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from eval.statistics.ranking_metrics import ALL_MEASURES, MEASURES, mean, measure_per_question, run_from_rankings


def test_right_passage_on_rank_three_is_worth_a_half_in_ndcg_and_a_third_in_rr() -> None:
    values = measure_per_question({"q": {"right": 1}}, run_from_rankings({"q": ["a", "b", "right"]}))
    # DCG = 1 / log2(3 + 1) = 0.5, the ideal DCG is 1 / log2(2) = 1.
    assert values["nDCG@10"]["q"] == pytest.approx(0.5)
    assert values["RR@10"]["q"] == pytest.approx(1 / 3)
    assert values["R@10"]["q"] == 1.0


def test_grades_count_as_gains() -> None:
    values = measure_per_question({"q": {"best": 2, "good": 1}}, run_from_rankings({"q": ["good", "other", "best"]}))
    # DCG = 1/log2(2) + 2/log2(4) = 2; ideal = 2/log2(2) + 1/log2(3) = 2.63093.
    assert values["nDCG@10"]["q"] == pytest.approx(2 / (2 + 1 / math.log2(3)))
    assert values["RR@10"]["q"] == 1.0


def test_rank_eleven_is_worth_nothing() -> None:
    ranking = [f"wrong-{rank}" for rank in range(10)] + ["right"]
    values = measure_per_question({"q": {"right": 1}}, run_from_rankings({"q": ranking}))
    assert [values[name]["q"] for name in MEASURES] == [0.0, 0.0, 0.0]


def test_question_without_results_counts_as_zero() -> None:
    qrels = {"found": {"right": 1}, "silent": {"right": 1}}
    for run in (run_from_rankings({"found": ["right"]}), run_from_rankings({"found": ["right"], "silent": []})):
        values = measure_per_question(qrels, run)
        assert values["nDCG@10"] == {"found": 1.0, "silent": 0.0}
        assert mean(values["R@10"].values()) == 0.5


def test_empty_run_is_zero_for_every_question() -> None:
    assert measure_per_question({"q": {"right": 1}}, {})["nDCG@10"] == {"q": 0.0}


def test_question_without_a_right_passage_is_zero_and_not_dropped() -> None:
    assert measure_per_question({"q": {"wrong": 0}}, run_from_rankings({"q": ["wrong"]}))["RR@10"] == {"q": 0.0}


def test_questions_outside_the_qrels_are_ignored() -> None:
    assert measure_per_question({"q": {"right": 1}}, run_from_rankings({"q": ["right"], "z": ["x"]}))["R@10"] == {
        "q": 1.0
    }


def test_order_of_a_ranking_survives_ids_that_sort_otherwise() -> None:
    """trec_eval breaks ties by id, descending; a run made of a ranking must not have ties."""
    values = measure_per_question({"q": {"a": 1}}, run_from_rankings({"q": ["a", "z", "y"]}))
    assert values["RR@10"]["q"] == 1.0


# ---- all measures, by hand and by trec_eval

TABLE_QRELS = {
    "first": {"a": 1, "z": 0},
    "sixth": {"a": 1, "b": 1},
    "deep": {"a": 2},
    "nothing": {"a": 1},
}
TABLE_RUN = run_from_rankings(
    {
        "first": ["a", "z", "u"],
        "sixth": ["u1", "u2", "u3", "u4", "u5", "a", *(f"v{n}" for n in range(20)), "b"],
        "deep": [*(f"u{n}" for n in range(24)), "a"],
    }
)
BY_HAND = {
    "nDCG@10": [1.0, (1 / math.log2(7)) / (1 + 1 / math.log2(3)), 0.0, 0.0],
    "RR@10": [1.0, 1 / 6, 0.0, 0.0],
    "R@10": [1.0, 0.5, 0.0, 0.0],
    "R@5": [1.0, 0.0, 0.0, 0.0],
    "R@20": [1.0, 0.5, 0.0, 0.0],
    "R@100": [1.0, 1.0, 1.0, 0.0],
    "Success@1": [1.0, 0.0, 0.0, 0.0],
    "Success@5": [1.0, 0.0, 0.0, 0.0],
    "Judged@10": [2 / 3, 1 / 10, 0.0, 0.0],
    "nDCG(judged_only=True)@10": [1.0, 1.0, 1.0, 0.0],
}
TREC_NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "R@10": "recall_10",
    "R@5": "recall_5",
    "R@20": "recall_20",
    "R@100": "recall_100",
    "Success@1": "success_1",
    "Success@5": "success_5",
}


@pytest.mark.parametrize("name", ALL_MEASURES)
def test_measure_is_what_it_is_by_hand(name: str) -> None:
    values = measure_per_question(TABLE_QRELS, TABLE_RUN, ALL_MEASURES)[name]
    assert list(values) == list(TABLE_QRELS)
    assert list(values.values()) == pytest.approx(BY_HAND[name])


def test_measures_are_those_of_trec_eval_itself() -> None:
    """pytrec_eval is trec_eval's own C code; called here without ir-measures between."""
    import pytrec_eval

    evaluator = pytrec_eval.RelevanceEvaluator(TABLE_QRELS, set(TREC_NAMES.values()))
    by_trec = evaluator.evaluate(TABLE_RUN)
    ours = measure_per_question(TABLE_QRELS, TABLE_RUN, ALL_MEASURES)
    for name, theirs in TREC_NAMES.items():
        for query_id, ranking in by_trec.items():
            assert ours[name][query_id] == pytest.approx(ranking[theirs]), (name, query_id)
