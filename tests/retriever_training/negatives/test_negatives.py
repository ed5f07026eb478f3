"""Finding negatives, cleaning and mixing them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.index.bm25 import Bm25Index
from retriever_training.negatives.candidates.records import Candidate, MinedNegatives, MiningContext
from retriever_training.negatives.finders import FINDERS
from retriever_training.negatives.mixing import choose_negatives

TEXTS = [
    "the cat sat on the mat",
    "the cat slept on a warm mat",
    "The cat sat, on the mat!",
    "a dog ran through the park",
    "stock markets fell on friday",
    "rain is expected tomorrow",
]


def unit(rows: list[list[float]]) -> NDArray[np.float32]:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


PASSAGES = unit([[1, 0, 0], [0.9, 0.5, 0], [1, 0.01, 0], [0.5, 1, 0], [0, 0, 1], [0, 0.3, 1]])


@pytest.fixture
def mine() -> MiningContext:
    """One question about the cat, whose right passage is the first; and one about the weather."""
    return MiningContext(
        questions=("who sat and who slept", "will there be rain"),
        positives=(frozenset({0}), frozenset({5})),
        rejected=((3,), ()),
        passage_ids=tuple(f"p{row}" for row in range(len(TEXTS))),
        question_vectors=unit([[1, 0.1, 0], [0, 0.4, 1]]),
        passage_vectors=PASSAGES,
        lexical=Bm25Index.build([f"p{row}" for row in range(len(TEXTS))], TEXTS),
        texts=TEXTS,
        seed=7,
    )


@pytest.mark.parametrize("name", list(FINDERS))
def test_no_source_ever_finds_a_known_positive(mine: MiningContext, name: str) -> None:
    found = FINDERS[name](mine, 10)
    assert len(found) == len(mine)
    for candidates, positives in zip(found, mine.positives, strict=True):
        assert not positives & {candidate.passage for candidate in candidates}


@pytest.mark.parametrize("name", list(FINDERS))
def test_every_source_is_deterministic_under_its_seed(mine: MiningContext, name: str) -> None:
    assert FINDERS[name](mine, 3) == FINDERS[name](mine, 3)


@pytest.mark.parametrize("name", list(FINDERS))
def test_every_candidate_carries_its_source_and_rank(mine: MiningContext, name: str) -> None:
    for candidates in FINDERS[name](mine, 10):
        assert [candidate.rank for candidate in candidates] == list(range(1, len(candidates) + 1))
        assert {candidate.source for candidate in candidates} <= {name}


def test_dense_finds_the_nearest_first(mine: MiningContext) -> None:
    assert [candidate.passage for candidate in FINDERS["dense"](mine, 3)[0]] == [2, 1, 3]


def test_bm25_finds_passages_that_share_words_only(mine: MiningContext) -> None:
    assert {candidate.passage for candidate in FINDERS["bm25"](mine, 10)[0]} == {1, 2}


def test_neighbours_are_near_the_right_passage_and_not_the_question(mine: MiningContext) -> None:
    """Passage 5, (0, .3, 1), is right for the second question; its nearest is 4, (0, 0, 1), then 3, (.5, 1, 0)."""
    found = FINDERS["neighbour"](mine, 2)
    assert [candidate.passage for candidate in found[1]] == [4, 3]
    assert found[1][0].score == pytest.approx(1 / np.sqrt(1.09))
    turned = replace(mine, question_vectors=-mine.question_vectors)
    assert FINDERS["neighbour"](turned, 2) == found


def test_word_neighbours_share_words_with_the_right_passage(mine: MiningContext) -> None:
    """The cat's passage stands there twice; words in half of the passages count nothing, and the rain's stand alone."""
    found = FINDERS["word_neighbour"](mine, 10)
    assert [[candidate.passage for candidate in candidates] for candidates in found] == [[2], []]
    assert FINDERS["word_neighbour"](replace(mine, texts=()), 10) == [[], []]


def test_a_question_without_a_right_passage_has_no_neighbours(mine: MiningContext) -> None:
    nobody = replace(mine, positives=(frozenset(), frozenset()))
    assert FINDERS["neighbour"](nobody, 5) == FINDERS["word_neighbour"](nobody, 5) == [[], []]


def test_feedback_finds_what_people_rejected(mine: MiningContext) -> None:
    assert [[candidate.passage for candidate in candidates] for candidates in FINDERS["feedback"](mine, 5)] == [[3], []]


def test_in_batch_finds_the_right_passages_of_others(mine: MiningContext) -> None:
    assert [[candidate.passage for candidate in candidates] for candidates in FINDERS["in_batch"](mine, 5)] == [
        [5],
        [0],
    ]


def test_quotas_come_first_and_what_is_left_fills_up() -> None:
    def of(source: str, *passages: int) -> list[MinedNegatives]:
        return [
            MinedNegatives(
                tuple(
                    Candidate(passage=passage, source=source, rank=rank, score=0.0)
                    for rank, passage in enumerate(passages, 1)
                )
            )
        ]

    by_source = {"feedback": of("feedback"), "dense": of("dense", 1, 2, 3), "bm25": of("bm25", 1, 4)}
    chosen = choose_negatives(by_source, 0, 3, {"feedback": 2, "dense": 1, "bm25": 1})
    assert [(candidate.source, candidate.passage) for candidate in chosen] == [("dense", 1), ("bm25", 4), ("dense", 2)]
