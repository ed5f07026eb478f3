"""Fusion: how dense and lexical scores become one ranking, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval.fusion import fuse_scores, normalise_bm25, reciprocal_rank_fusion, top_fused, top_positions

# Few distinct values, so that there are ties everywhere.
SCORES = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 1.0]), max_size=40).map(
    lambda some: np.array(some, np.float32)
)


def test_bm25_is_divided_by_its_maximum_for_the_question() -> None:
    assert normalise_bm25(np.array([8.0, 2.0, 0.0, -4.0])).tolist() == [1.0, 0.25, 0.0, -0.5]


@given(st.integers(1, 3000), st.integers(0, 60), st.integers(1, 40))
def test_the_top_of_many_scores_is_what_sorting_them_all_puts_first(n_scores: int, k: int, n_values: int) -> None:
    scores = np.random.default_rng(n_scores).integers(n_values, size=n_scores).astype(np.float32)
    assert top_positions(scores, k).tolist() == sorted(range(n_scores), key=lambda place: (-scores[place], place))[:k]


def test_where_no_word_matches_bm25_says_nothing() -> None:
    """BM25's negative idf would else turn the least bad passage into a perfect match."""
    assert normalise_bm25(np.array([-1.0, -3.0])).tolist() == [0.0, 0.0]
    assert normalise_bm25(np.array([])).tolist() == []


def test_the_fused_score_is_cosine_plus_weighted_bm25() -> None:
    assert fuse_scores(np.array([0.5, 0.25]), np.array([0.0, 1.0]), 0.5).tolist() == [0.5, 0.75]


def test_equal_scores_go_by_position() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.9, 0.5])
    assert top_positions(scores, 1).tolist() == [1]
    assert top_positions(scores, 3).tolist() == [1, 3, 0]
    assert top_positions(scores, 4).tolist() == [1, 3, 0, 2]
    assert top_positions(np.zeros(5), 2).tolist() == [0, 1]


@given(SCORES, st.integers(0, 45))
def test_the_top_is_the_beginning_of_a_full_stable_sort(scores, k) -> None:
    assert top_positions(scores, k).tolist() == sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]


def test_a_passage_that_only_bm25_puts_forward_can_win() -> None:
    dense, lexical = np.array([0.6, 0.55, 0.1, 0.5]), np.array([0.0, 0.0, 1.0, 0.2])
    # Candidates: 0 and 1 by cosine, 2 and 3 by BM25; fused .6, .55, 1.1, .7
    assert top_fused(dense, lexical, 1.0, candidates=2, k=4).tolist() == [2, 3, 0, 1]


def test_who_is_no_candidate_of_either_side_does_not_come_in_by_the_sum() -> None:
    dense, lexical = np.array([0.9, 0.5, 0.1]), np.array([0.0, 0.9, 1.0])
    # Passage 1 would be first with .5 + .9, but is second on both sides, and only the first of each counts.
    assert top_fused(dense, lexical, 1.0, candidates=1, k=3).tolist() == [2, 0]


def test_a_passage_without_a_word_of_the_question_is_no_lexical_candidate() -> None:
    assert top_fused(np.array([0.1, 0.9]), np.array([0.0, 0.0]), 1.0, candidates=1, k=2).tolist() == [1]


def test_without_weight_the_ranking_is_that_of_the_cosines() -> None:
    dense, lexical = np.array([0.3, 0.9, 0.6]), np.array([1.0, 0.0, 0.0])
    assert top_fused(dense, lexical, 0.0, candidates=3, k=3).tolist() == [1, 2, 0]


def test_an_empty_library_has_no_top() -> None:
    assert top_fused(np.array([]), np.array([]), 0.25, candidates=100, k=6).tolist() == []


@given(SCORES, st.integers(1, 10), st.integers(1, 10), st.sampled_from([0.0, 0.25, 1.0, 10.0]), st.randoms())
def test_the_fused_top_is_the_sorted_union_of_both_sides_candidates(dense, candidates, k, weight, random) -> None:
    lexical = np.array([random.choice([0.0, 0.5, 1.0]) for _ in dense], np.float32)
    by_cosine = sorted(range(len(dense)), key=lambda row: (-dense[row], row))[:candidates]
    by_words = sorted(range(len(dense)), key=lambda row: (-lexical[row], row))[:candidates]
    union = {*by_cosine, *(row for row in by_words if lexical[row] > 0)}
    score = {row: float(dense[row]) + weight * float(lexical[row]) for row in union}
    expected = sorted(union, key=lambda row: (-score[row], row))[:k]
    assert top_fused(dense, lexical, weight, candidates, k).tolist() == expected


def test_reciprocal_ranks_are_summed_over_rankings() -> None:
    scores = reciprocal_rank_fusion([["a", "b", "c"], ["c", "a"]])
    assert scores == pytest.approx({"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61})
