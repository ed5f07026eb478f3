"""Reranking: what decides the order, what a spent budget leaves as it was, and that nothing happens where it is off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.retrieval.reranking import compare_reranking, rerank_served
from rag.app.app import App, open_app
from rag.errors import EncoderError
from rag.records import Hit, Passage
from rag.retrieval.reranker import PASSAGES_PER_BATCH, Reranker, reorder_by_rerank_score
from rag.settings import Settings
from tests.fixtures import jargon
from ui.serializers.answers import search_result_json

QUESTION = "How do I clean the filter of my printer?"


class Marks:
    """A reader that gives each passage the mark written at its end; reading a batch takes it one second."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.read: list[str] = []

    def load(self) -> None:
        self.now_s += 100.0

    def clock(self) -> float:
        return self.now_s

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.now_s += 1.0
        self.read += passages
        return np.array([float(passage.split()[-1]) for passage in passages], np.float32)


def hits(*marks: float, scores: Sequence[float] | None = None, lift: float = 0.0) -> list[Hit]:
    """Passages a, b, c … with these marks, as they were served."""
    given = scores if scores is not None else [0.5] * len(marks)
    return [
        Hit(
            passage=Passage(
                passage_id=chr(97 + index),
                document_id="d",
                source="s",
                title="",
                heading="",
                text=f"text {mark}",
                start=0,
                end=8,
            ),
            rank=index + 1,
            score=score,
            dense=score,
            lexical=0.0,
            feedback_boost=lift,
        )
        for index, (mark, score) in enumerate(zip(marks, given, strict=True))
    ]


def names(found: Sequence[Hit]) -> str:
    return "".join(hit.passage.passage_id for hit in found)


def reranker(marks: Marks, k: int = 20, budget_s: float = 1000.0, weight: float = 0.5) -> Reranker:
    return Reranker(reader=marks, k=k, budget_s=budget_s, weight=weight, clock=marks.clock)


# ---- the order


def test_what_the_reader_says_counts_beside_what_served_the_hit() -> None:
    """weight .5: a .9 + 0, b .5 + .5, c .8 + .25; so c, b, a."""
    reranked = reranker(Marks()).rerank("q", hits(0.0, 1.0, 0.5, scores=[0.9, 0.5, 0.8]))
    assert names(reranked.hits) == "cba"
    assert [hit.rank for hit in reranked.hits] == [1, 2, 3]
    assert [(hit.score, hit.rerank) for hit in reranked.hits] == [(0.8, 0.5), (0.5, 1.0), (0.9, 0.0)]
    assert not reranked.is_cut


def test_equal_hits_stay_in_the_order_served() -> None:
    assert names(reranker(Marks()).rerank("q", hits(0.3, 0.3, 0.3)).hits) == "abc"


def test_only_the_first_k_are_read_and_the_others_stay_below() -> None:
    marks = Marks()
    reranked = reranker(marks, k=2).rerank("q", hits(0.1, 0.2, 1.0, 0.9))
    assert names(reranked.hits) == "bacd"
    assert len(marks.read) == 2
    assert [hit.rerank for hit in reranked.hits[2:]] == [None, None]
    assert not reranked.is_cut


def test_no_hits_are_no_trouble() -> None:
    assert reranker(Marks()).rerank("q", []).hits == []


# ---- the budget


def test_when_the_time_is_spent_the_rest_stays_as_served_and_it_is_said() -> None:
    """Two batches a second each fit into 1.5 s, for the clock is looked at before a batch; loading does not count."""
    marks = Marks()
    reranked = reranker(marks, budget_s=1.5).rerank("q", hits(*(index / 10 for index in range(10))))
    assert len(marks.read) == 2 * PASSAGES_PER_BATCH == 8
    assert names(reranked.hits) == "hgfedcbaij"
    assert [hit.rerank is None for hit in reranked.hits] == [False] * 8 + [True] * 2
    assert reranked.is_cut


def test_one_batch_is_always_read() -> None:
    marks = Marks()
    assert reranker(marks, budget_s=1e-9).rerank("q", hits(0.1, 0.9)).is_cut is False
    assert len(marks.read) == 2


# ---- what it is worth


def test_the_worth_is_measured_on_the_same_hits_question_by_question() -> None:
    """Right is b, then a: nDCG@10 .63 → 1 and 1 → .63; what lies between the halves is nothing."""
    questions, qrels = {"1": "one", "2": "two"}, {"1": {"b": 1}, "2": {"a": 1}}
    read = rerank_served(questions, lambda text, k: hits(0.0, 1.0), reranker(Marks()))
    worth = compare_reranking(read, qrels, weight=0.5)
    told = worth.as_json()
    assert worth.served["nDCG@10"] == pytest.approx({"1": 0.6309, "2": 1.0}, abs=1e-4)
    assert worth.reranked["nDCG@10"] == pytest.approx({"1": 1.0, "2": 0.6309}, abs=1e-4)
    assert (told["difference"], told["wins"], told["losses"]) == (0.0, 1, 1)
    assert read.scores().tolist() == [0.0, 1.0, 0.0, 1.0]
    assert read.right(qrels).tolist() == [False, True, True, False]


def test_it_is_counted_how_often_the_time_was_too_short() -> None:
    """Of six hits four are read in the first second, and the second second is not given."""
    asked = {"1": "one", "2": "two"}
    few = {"one": hits(0.1, 0.2), "two": hits(*(index / 10 for index in range(6)))}
    assert rerank_served(asked, lambda text, k: few[text], reranker(Marks(), budget_s=0.5)).n_cut == 1


def test_other_scores_for_what_was_read_make_another_order() -> None:
    read = rerank_served({"1": "one"}, lambda text, k: hits(0.0, 1.0, 0.5), reranker(Marks(), k=2))
    said = read.with_scores(np.array([0.9, 0.1]))
    assert [hit.rerank for hit in said.hits["1"]] == [0.9, 0.1, None]
    assert names(reorder_by_rerank_score(said.hits["1"], 0.5)) == "abc"


# ---- in the application


@pytest.fixture
def app(manuals: Path):
    opened = open_app(Settings(data=manuals))
    yield opened
    opened.close()


def test_where_it_is_off_nothing_is_reranked(app: App) -> None:
    assert app.reranker is None and app.retriever.reranker is None
    found = app.retriever.find(QUESTION)
    assert {hit.rerank for hit in found.hits} == {None}
    assert search_result_json(found)["rerank_cut"] is False


class Codes(Marks):
    """Takes the product with a code name for right, and nothing else."""

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.now_s += 1.0
        self.read += passages
        return np.array([float(text.startswith(jargon.PRODUCTS["printer"])) for text in passages], np.float32)


def test_a_hit_that_was_not_among_those_shown_is_read_and_lifted(app: App) -> None:
    served = app.retriever.search(QUESTION, k=20)
    place = next(index for index, hit in enumerate(served) if hit.passage.text.startswith("Zorvex"))
    assert place >= 1
    app.retriever.reranker = Reranker(reader=(reader := Codes()), weight=10.0)
    found = app.retriever.find(QUESTION, k=1)
    assert found.hits[0].passage.passage_id == served[place].passage.passage_id
    assert found.hits[0].score == pytest.approx(served[place].score, abs=1e-6)
    assert len(reader.read) == 20
    told = search_result_json(found)["hits"][0]
    assert (told["rank"], told["rerank"]) == (1, 1.0)


def test_an_answer_says_where_the_readers_time_was_too_short(app: App) -> None:
    reader = Codes()
    app.retriever.reranker = Reranker(reader=reader, budget_s=1.5, clock=lambda: reader.now_s)
    assert app.answerer.answer(QUESTION).rerank_is_cut
    app.retriever.reranker = Reranker(reader=Codes())
    assert not app.answerer.answer(QUESTION).rerank_is_cut


def test_more_hits_than_are_read_can_be_shown(app: App) -> None:
    served = app.retriever.search(QUESTION, k=30)
    app.retriever.reranker = Reranker(reader=Codes(), k=5, weight=0.0)
    assert names_of(app.retriever.search(QUESTION, k=30)) == names_of(served)


def names_of(found: Sequence[Hit]) -> list[str]:
    return [hit.passage.passage_id for hit in found]


def test_a_reranker_that_is_no_cross_encoder_is_refused_by_name(manuals: Path) -> None:
    app = open_app(Settings(data=manuals, retrieval={"reranker": manuals / "nothing"}))
    with pytest.raises(EncoderError, match=r"nothing' has no config\.json"):
        app.retriever.search(QUESTION)
    app.close()
