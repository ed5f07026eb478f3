"""Windows, margins and sampling: worked out by hand, and beside sentence-transformers' own miner."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.index.bm25 import Bm25Index
from retriever_training.bench.mining import PrecomputedEncoder
from retriever_training.negatives.candidates.margins import Margin
from retriever_training.negatives.candidates.rank_window import RankWindow, within_window
from retriever_training.negatives.candidates.records import MiningContext, VersionView, rank_candidates
from retriever_training.negatives.candidates.sampling import Sampling, draw_distinct, sample_candidates
from retriever_training.negatives.finders import FINDERS
from retriever_training.negatives.select import select
from tests.fixtures.jargon import library, questions

ALL = RankWindow()


def at(*cosines: float) -> NDArray[np.float32]:
    """Unit rows in the plane with these cosines to (1, 0)."""
    return np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in cosines], np.float32)


def mine_of(*cosines: float, positive: int = 0, n_questions: int = 1) -> MiningContext:
    """Questions (1, 0), all alike, over passages at these cosines, one of which is right."""
    return MiningContext(
        questions=tuple(f"question {number}" for number in range(n_questions)),
        positives=(frozenset({positive}),) * n_questions,
        rejected=((),) * n_questions,
        passage_ids=tuple(f"p{row}" for row in range(len(cosines))),
        question_vectors=np.repeat(at(1), n_questions, axis=0),
        passage_vectors=at(*cosines),
        lexical=Bm25Index.build([f"p{row}" for row in range(len(cosines))], [""] * len(cosines)),
        version="now",
    )


LADDER = mine_of(0.8, 0.9, 0.78, 0.7, 0.5, 0.3, 0.1)  # passage 0 is right; then rank 1 is passage 1, and so on


def rows(window: RankWindow, mine: MiningContext = LADDER) -> list[int]:
    return [candidate.passage for candidate in within_window(mine, FINDERS["dense"](mine, 10), window)[0]]


# ---- windows


def test_a_rank_window_leaves_out_the_first_and_what_lies_beyond_the_last() -> None:
    assert rows(RankWindow(skip=2, last=4)) == [3, 4]


def test_a_score_window_keeps_its_bounds() -> None:
    assert rows(RankWindow(min_score=0.4, max_score=0.75)) == [3, 4]


@pytest.mark.parametrize(
    ("margin", "kept"),
    [
        (Margin("absolute", 0.15), [4, 5, 6]),  # at most .65
        (Margin("relative", 0.1), [3, 4, 5, 6]),  # at most .72
        (Margin("percent", 0.95), [3, 4, 5, 6]),  # at most .76
        (Margin("percent", 1.0), [2, 3, 4, 5, 6]),
    ],
)
def test_a_margin_is_kept_to_the_positive(margin: Margin, kept: list[int]) -> None:
    assert rows(RankWindow(margin=margin)) == kept


def test_the_least_similar_positive_counts() -> None:
    two = replace(LADDER, positives=(frozenset({0, 4}),))
    assert rows(RankWindow(margin=Margin("absolute", 0.1)), two) == [5, 6]


def test_without_a_positive_no_margin_counts() -> None:
    nobody = replace(LADDER, positives=(frozenset(),))
    assert rows(RankWindow(margin=Margin("absolute", 0.1)), nobody) == [1, 0, 2, 3, 4, 5, 6]


def test_ranks_are_the_finders_own_whatever_a_margin_takes_away() -> None:
    """`mine_hard_negatives` would skip passages 3 and 4 here: the first two that the margin left."""
    window = RankWindow(skip=2, margin=Margin("absolute", 0.05))
    (found,) = within_window(LADDER, FINDERS["dense"](LADDER, 10), window)
    assert [(candidate.passage, candidate.rank) for candidate in found] == [(3, 3), (4, 4), (5, 5), (6, 6)]


def test_a_score_means_the_cosine_whoever_found_the_passage() -> None:
    found = [rank_candidates("bm25", [4, 1], [21.0, 3.0])]
    assert [candidate.passage for candidate in within_window(LADDER, found, RankWindow(max_score=0.75))[0]] == [4]


# ---- sampling


def test_top_takes_the_first() -> None:
    assert [candidate.passage for candidate in select(LADDER, "dense", 2, RankWindow(skip=1), Sampling())[0]] == [2, 3]


def test_uniform_takes_any_within_the_window_in_the_order_of_ranks() -> None:
    many = mine_of(*np.linspace(0.9, 0.1, 12).tolist(), n_questions=4000)
    chosen = select(many, "dense", 3, RankWindow(skip=1, last=10), Sampling("uniform"))
    counts = Counter(candidate.passage for candidates in chosen for candidate in candidates)
    assert sorted(counts) == list(range(2, 11)), "rank 1 is passage 1: passage 0 is right"
    assert all(abs(count / 4000 - 3 / 9) < 0.03 for count in counts.values())
    assert all(
        [candidate.rank for candidate in candidates] == sorted({candidate.rank for candidate in candidates})
        for candidates in chosen
    )


def test_ambiguity_is_drawn_by_the_formula_of_simans() -> None:
    """One of two, at s⁺ and .1 below: p ∝ 1 and exp(-100 · .01) = .368, so .731 and .269."""
    two = mine_of(0.5, 0.5, 0.4, n_questions=6000)
    chosen = select(two, "dense", 1, RankWindow(last=2), Sampling("ambiguous", a=100))
    counts = Counter(candidate.passage for candidates in chosen for candidate in candidates)
    assert counts[1] / 6000 == pytest.approx(0.731, abs=0.02)


def test_b_moves_the_most_ambiguous_score() -> None:
    spread = mine_of(0.5, 0.9, 0.7, 0.5, 0.3, 0.1)
    sharp = Sampling("ambiguous", a=1e5, b=-0.2)
    assert [candidate.passage for candidate in select(spread, "dense", 1, RankWindow(last=5), sharp)[0]] == [4]


@pytest.mark.parametrize("how", ["uniform", "ambiguous"])
def test_a_draw_depends_on_seed_and_stream_alone(how: str) -> None:
    many = mine_of(*np.linspace(0.9, 0.1, 30).tolist(), n_questions=20)
    found = FINDERS["dense"](many, 29)
    sampling = Sampling(how)
    first = sample_candidates(many, found, 5, sampling, "dense")
    assert sample_candidates(many, found, 5, sampling, "dense") == first
    assert sample_candidates(many, found, 5, sampling, "bm25") != first
    assert sample_candidates(replace(many, seed=99), found, 5, sampling, "dense") != first


def test_fewer_than_asked_are_all() -> None:
    assert len(select(LADDER, "dense", 50, ALL, Sampling("uniform"))[0]) == 6


@pytest.mark.parametrize("n_values", [3, 30, 300])
def test_numbers_are_drawn_without_replacement(n_values: int) -> None:
    drawn = draw_distinct(np.random.default_rng(1), 500, n_values, 10)
    for line in drawn.tolist():
        kept = [value for value in line if value >= 0]
        assert len(kept) == len(set(kept))
        assert all(value < n_values for value in kept)
        assert len(kept) == min(n_values, 10) or n_values == 300
    assert (drawn >= 0).sum() >= 0.98 * 500 * min(10, n_values)
    counts = np.bincount(drawn[drawn >= 0], minlength=n_values)
    expected = 500 * min(10, n_values) / n_values
    assert np.abs(counts - expected).max() < 5 * expected**0.5 + 1


# ---- finders over versions


def test_earlier_versions_take_turns_and_each_passage_belongs_to_the_first_that_names_it() -> None:
    """Passage 0 is right. The newest sees 1, 2, 3 nearest; the oldest 5, 1, 4."""
    newest = VersionView("b", at(1), at(0.1, 0.9, 0.8, 0.7, 0.2, 0.3), "b")
    oldest = VersionView("a", at(1), at(0.1, 0.8, 0.2, 0.3, 0.7, 0.9), "a")
    mine = replace(mine_of(*[0.0] * 6), earlier=(newest, oldest))
    (found,) = FINDERS["earlier"](mine, 4)
    assert [(candidate.passage, candidate.version) for candidate in found] == [(1, "b"), (5, "a"), (2, "b"), (3, "b")]
    assert [candidate.rank for candidate in found] == [1, 2, 3, 4]
    assert [candidate.score for candidate in found] == pytest.approx([0.9, 0.9, 0.8, 0.7], abs=1e-6)


def test_without_earlier_versions_nothing_is_found_by_them() -> None:
    assert FINDERS["earlier"](LADDER, 5) == [[]]


@pytest.mark.parametrize(("name", "version"), [("dense", "now"), ("neighbour", "now"), ("random", "")])
def test_a_candidate_names_the_version_whose_vectors_found_it(name: str, version: str) -> None:
    assert {candidate.version for candidate in FINDERS[name](LADDER, 3)[0]} == {version}


def test_random_never_draws_what_is_nearly_as_close_as_the_positive() -> None:
    """95 % of .8 is .76: passages 1 and 2, at .9 and .78, are suspected."""
    assert {candidate.passage for candidate in FINDERS["random"](LADDER, 10)[0]} == {3, 4, 5, 6}


def test_random_finds_as_many_as_asked_in_a_large_library() -> None:
    generator = np.random.default_rng(3)
    many = mine_of(0.95, *generator.uniform(-1, 0.9, 500).tolist(), n_questions=300)
    assert {len(candidates) for candidates in FINDERS["random"](many, 8)} == {8}


def test_neighbours_of_several_positives_are_the_nearest_to_any() -> None:
    """Around 90° and 0°: passage 2 lies 10° from the first, 3 lies 5° from the second, 4 between them."""
    angles = np.radians([90, 0, 80, 5, 45])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    mine = replace(mine_of(*[0.0] * 5), passage_vectors=vectors, positives=(frozenset({0, 1}),))
    assert [candidate.passage for candidate in FINDERS["neighbour"](mine, 3)[0]] == [3, 2, 4]


# ---- beside mine_hard_negatives


@pytest.fixture(scope="module")
def manuals(base_encoder) -> MiningContext:
    """Four products' pages and what people ask of the first sixteen, as the real MiniLM sees them."""
    texts = [passages[0].encoded_text for _, passages in library()][:48]
    asked = list(questions())[:16]
    return MiningContext(
        questions=tuple(asked),
        positives=tuple(frozenset({row}) for row in range(16)),
        rejected=((),) * 16,
        passage_ids=tuple(map(str, range(48))),
        question_vectors=base_encoder.encode_queries(asked),
        passage_vectors=base_encoder.encode_passages(texts),
        lexical=Bm25Index.build(list(map(str, range(48))), texts),
        texts=texts,
    )


@pytest.fixture(scope="module")
def handed(manuals: MiningContext, base_folder) -> PrecomputedEncoder:
    """The model that sentence-transformers gets: it gives the same vectors."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(base_folder), device="cpu")
    return PrecomputedEncoder(
        model, manuals.texts, manuals.passage_vectors, manuals.questions, manuals.question_vectors
    )


def theirs(mine: MiningContext, handed: PrecomputedEncoder, **options) -> list[list[str]]:
    """The negatives of each question by sentence-transformers, in order."""
    from datasets import Dataset
    from sentence_transformers import mine_hard_negatives

    right = [mine.texts[row] for row in range(len(mine))]
    dataset = Dataset.from_dict({"question": mine.questions, "right": right})
    found: dict[str, list[str]] = {question: [] for question in mine.questions}
    for row in mine_hard_negatives(dataset, handed, corpus=list(mine.texts), verbose=False, **options):
        found[row["question"]].append(row["negative"])
    return list(found.values())


@pytest.mark.parametrize(
    ("options", "window"),
    [
        ({}, RankWindow()),
        ({"range_min": 3}, RankWindow(skip=3)),
        ({"absolute_margin": 0.1}, RankWindow(last=99, margin=Margin("absolute", 0.1))),
        ({"relative_margin": 0.2}, RankWindow(last=99, margin=Margin("relative", 0.2))),
        ({"max_score": 0.5, "min_score": 0.1}, RankWindow(last=99, min_score=0.1, max_score=0.5)),
    ],
)
def test_windows_and_margins_agree_with_mine_hard_negatives(manuals, handed, monkeypatch, options, window) -> None:
    from sentence_transformers.util import hard_negatives

    monkeypatch.setattr(hard_negatives, "trange", partial(hard_negatives.trange, disable=True))
    expected = theirs(manuals, handed, num_negatives=4, range_max=47, **options)
    assert any(expected)
    chosen = select(manuals, "dense", 4, window, Sampling())
    assert [[manuals.texts[candidate.passage] for candidate in candidates] for candidates in chosen] == expected
