"""Measuring a version: the rankings are those that are served, and slices add up."""

from __future__ import annotations

import numpy as np
import pytest

import eval.retrieval.evaluate as measuring
from eval.retrieval.evaluate import RetrievalScores, evaluate_retrieval, rank_passages
from rag.retrieval.fusion import normalise_bm25, top_fused

IDS = ["p0", "p1", "p2", "p3"]
PASSAGES = np.eye(4, dtype=np.float32)
QUERIES = {
    "exact": np.array([1.0, 0.0, 0.0, 0.0], np.float32),
    "near": np.array([0.0, 0.8, 0.6, 0.0], np.float32),
    "lost": np.array([0.0, 0.0, 0.6, 0.8], np.float32),
}
WORDS = {"exact": [4.0, 0.0, 0.0, 0.0], "near": [0.0, 1.0, 2.0, 0.0], "lost": [0.0, 0.0, 0.0, 0.0]}
QRELS = {"exact": {"p0": 1}, "near": {"p2": 1}, "lost": {"p1": 1}}


class Words:
    """BM25 scores written by hand."""

    def score_matrix(self, questions: list[str]) -> np.ndarray:
        return np.array([WORDS[question] for question in questions], np.float32)


def measured(weight: float = 1.0, seen: frozenset[str] = frozenset(), lexical: Words | None = None) -> RetrievalScores:
    return evaluate_retrieval(
        {name: name for name in QUERIES},
        QRELS,
        encode_queries=lambda texts: np.array([QUERIES[text] for text in texts]),
        passage_ids=IDS,
        passage_vectors=PASSAGES,
        lexical=lexical or Words(),
        weight=weight,
        seen=seen,
    )


def test_each_side_is_measured_on_its_own() -> None:
    scores = measured()
    # Dense ranks p2 second for "near" (cosine .6 after .8); words and the sum (1.6 against 1.3) put it first.
    assert scores.values["dense"]["RR@10"] == pytest.approx({"exact": 1.0, "near": 0.5, "lost": 1 / 4})
    assert scores.values["lexical"]["RR@10"] == {"exact": 1.0, "near": 1.0, "lost": 0.0}
    assert scores.values["fused"]["RR@10"] == pytest.approx({"exact": 1.0, "near": 1.0, "lost": 1 / 4})
    assert scores.top_ten["near"][:2] == ("p2", "p1")


def test_weight_zero_serves_the_dense_ranking() -> None:
    scores = measured(weight=0.0)
    assert scores.values["fused"] == scores.values["dense"]


def test_without_words_fused_is_dense_and_lexical_finds_nothing() -> None:
    vectors = np.array(list(QUERIES.values()))
    found = rank_passages(vectors, PASSAGES, None, weight=0.5)
    assert [row.tolist() for row in found.fused] == [row.tolist() for row in found.dense]
    assert [row.tolist() for row in found.lexical] == [[], [], []]


def test_question_is_seen_where_one_of_its_right_passages_was_trained_on() -> None:
    scores = measured(seen=frozenset({"p2", "p3"}))
    assert scores.unseen.tolist() == [True, False, True]
    assert scores.means("seen")["dense"]["RR@10"] == 0.5
    assert scores.means("unseen")["dense"]["RR@10"] == pytest.approx((1 + 1 / 4) / 2)


def test_json_has_every_side_and_slice_and_an_empty_slice_is_null() -> None:
    printed = measured().as_json("insects", "test", "base")
    assert printed["n_questions"] == 3
    assert printed["lexical"]["RR@10"] == pytest.approx(2 / 3, abs=1e-5)
    assert printed["slices"]["unseen"]["n_questions"] == 3
    assert printed["slices"]["seen"] == {
        "n_questions": 0,
        **{side: {"nDCG@10": None, "RR@10": None, "R@10": None} for side in ("dense", "lexical", "rrf", "fused")},
    }
    low, high = printed["intervals"]["all"]["dense"]["RR@10"]
    assert low <= printed["dense"]["RR@10"] <= high


def test_pieces_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured()
    monkeypatch.setattr(measuring, "SCORES_AT_ONCE", 5)  # one question a piece
    assert measured().values == whole.values


def test_fused_rankings_are_those_of_serving() -> None:
    rng = np.random.default_rng(2)
    queries, passages = (rng.normal(size=(n, 8)).astype(np.float32) for n in (5, 300))
    words = np.maximum(rng.normal(size=(5, 300)), 0).astype(np.float32)
    found = rank_passages(queries, passages, words, 0.25, k=10, candidates=20)
    for query, row, fused in zip(queries, words, found.fused, strict=True):
        served = top_fused(query @ passages.T, normalise_bm25(row), 0.25, 20, 10)
        assert fused.tolist() == served.tolist()


def test_what_the_gate_gets_is_the_fused_side() -> None:
    scores = measured()
    served = scores.served()
    assert served.ndcg.tolist() == pytest.approx(list(scores.values["fused"]["nDCG@10"].values()))
    assert served.recall.tolist() == [1.0, 1.0, 1.0]
