"""Retrieval: every hit carries the scores that put it there, by the formula that measuring uses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from eval.retrieval.evaluate import rank_passages
from rag.embedding.passage_vectors import PassageVectors
from rag.index.bm25 import Bm25Index
from rag.index.exact_search import ExactIndex
from rag.library.library import Library
from rag.library.search_filter import parse_filter
from rag.records import Document, Passage, sha256_of
from rag.retrieval.fusion import normalise_bm25
from rag.retrieval.retriever import Retriever, to_langchain_retriever

TEXTS = {
    "p01": "The lamp is switched on with the red button at its side.",
    "p02": "Moths fly at night and gather around a light.",
    "p03": "Businesses that had to close can ask the council for a grant.",
    "p04": "The council collects waste on Mondays.",
    "p05": "Form QX-17 is for people who moved house.",
    "p06": "Nightjars lay two eggs on bare ground.",
    "p07": "A nightjar hunts moths at dusk.",
    "p08": "The battery of the lamp lasts nine hours.",
}


@pytest.fixture
def library(engine) -> Library:
    opened = Library(engine)
    for passage_id, text in TEXTS.items():
        put(opened, passage_id, text)
    return opened


@pytest.fixture
def vectors(library, engine, base_encoder) -> PassageVectors:
    filled = PassageVectors(engine, base_encoder.passage_side)
    filled.fill(base_encoder)
    return filled


@pytest.fixture
def make(library, vectors, base_encoder):
    """A retriever over the library as it is now."""

    def make(*, weight: float = 0.25, candidates: int = 100, dense=None) -> Retriever:
        passages = library.passages()
        lexical = Bm25Index.build(
            [passage.passage_id for passage in passages], [passage.encoded_text for passage in passages]
        )
        index = dense or ExactIndex(vectors)
        return Retriever(base_encoder, index, lexical, library, vectors, lexical_weight=weight, candidates=candidates)

    return make


def put(library: Library, passage_id: str, text: str) -> None:
    document = Document(
        document_id=f"of-{passage_id}",
        source=f"{passage_id}.txt",
        title="",
        media_type="text/plain",
        sha256=sha256_of(text),
        text=text,
    )
    library.put(
        document,
        [
            Passage(
                passage_id=passage_id,
                document_id=document.document_id,
                source=document.source,
                title="",
                heading="",
                text=text,
                start=0,
                end=len(text),
                page=3,
            )
        ],
    )


def ids(hits) -> list[str]:
    return [hit.passage.passage_id for hit in hits]


class Named:
    """A dense index that knows of some passages only, as one does that is behind the library."""

    def __init__(self, *found: tuple[str, float]) -> None:
        self.found = list(found)

    def search(self, queries: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
        return [self.found[:k] for _ in queries]


def test_every_score_of_a_hit_is_what_it_says(make, vectors, base_encoder) -> None:
    question = "How do I switch the lamp on?"
    retriever = make(weight=0.3)
    hits = retriever.search(question, k=8)
    passage_ids, matrix = vectors.matrix()
    cosines = dict(zip(passage_ids, matrix @ base_encoder.encode_queries([question])[0], strict=True))
    bm25 = dict(zip(passage_ids, normalise_bm25(retriever._lexical.scores(question)), strict=True))
    assert hits[0].passage.passage_id == "p01"
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6, 7, 8]
    for hit in hits:
        assert hit.dense == pytest.approx(cosines[hit.passage.passage_id], abs=1e-6)
        assert hit.lexical == pytest.approx(bm25[hit.passage.passage_id], abs=1e-6)
        assert hit.score == pytest.approx(hit.dense + 0.3 * hit.lexical, abs=1e-12)
        assert hit.passage.text == TEXTS[hit.passage.passage_id]
    assert all(before.score >= after.score - 1e-6 for before, after in pairwise(hits))
    assert max(hit.lexical for hit in hits) == 1.0


@pytest.mark.parametrize(("weight", "candidates"), [(0.0, 100), (0.25, 100), (0.25, 2), (1.0, 1), (10.0, 3)])
def test_what_is_served_is_what_is_measured(make, vectors, base_encoder, weight, candidates) -> None:
    questions = ["Who can get a grant?", "form qx-17", "moths and nightjars", "lamp", "zebra"]
    retriever = make(weight=weight, candidates=candidates)
    passage_ids, matrix = vectors.matrix()
    words = retriever._lexical.score_matrix(questions)
    queries = base_encoder.encode_queries(questions)
    measured = rank_passages(queries, matrix, words, weight, k=candidates, candidates=candidates).fused
    for question, expected in zip(questions, measured, strict=True):
        assert ids(retriever.search(question, k=candidates)) == [passage_ids[row] for row in expected]


def test_a_candidate_of_bm25_alone_gets_its_cosine_from_sql(make, vectors, base_encoder) -> None:
    question = "QX-17"
    (query,) = base_encoder.encode_queries([question])
    hits = make(weight=1.0, dense=Named(("p02", 0.9))).search(question, k=5)
    by_id = {hit.passage.passage_id: hit for hit in hits}
    assert ids(hits) == ["p05", "p02"]
    assert by_id["p05"].dense == pytest.approx(float(vectors.rows(["p05"])["p05"] @ query), abs=1e-6)
    assert by_id["p05"].lexical == 1.0
    assert by_id["p02"].dense == pytest.approx(0.9)


def test_without_weight_bm25_puts_nothing_forward(make) -> None:
    assert ids(make(weight=0.0, dense=Named(("p02", 0.9))).search("QX-17")) == ["p02"]


def test_a_question_in_other_words_is_answered_by_cosine_alone(make) -> None:
    hits = make().search("illumination")
    assert {hit.lexical for hit in hits} == {0.0}
    assert len(hits) == 6


def test_a_k_above_the_size_of_the_library_gives_the_whole_library(make) -> None:
    assert sorted(ids(make().search("lamp", k=50))) == sorted(TEXTS)


def test_a_k_above_the_number_of_candidates_is_filled(make) -> None:
    assert len(make(candidates=2).search("illumination", k=7)) == 7


def test_an_empty_library_gives_no_hits(engine, base_encoder) -> None:
    vectors = PassageVectors(engine, base_encoder.passage_side)
    empty = Bm25Index.build([], [])
    retriever = Retriever(base_encoder, ExactIndex(vectors), empty, Library(engine), vectors, lexical_weight=0.25)
    assert retriever.search("lamp") == []


def test_a_passage_removed_meanwhile_is_left_out_and_ranks_have_no_gap(make, library) -> None:
    retriever = make()
    first = ids(retriever.search("lamp", k=8))
    library.remove(f"{first[0]}.txt")
    hits = retriever.search("lamp", k=8)
    assert ids(hits) == first[1:]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6, 7]


def test_a_passage_added_meanwhile_waits_for_the_next_retriever(make, library, vectors, base_encoder) -> None:
    before = make()
    put(library, "p09", "The lamp of the lighthouse.")
    vectors.fill(base_encoder)
    assert "p09" not in ids(before.search("lamp of the lighthouse", k=8))
    assert ids(make().search("lamp of the lighthouse"))[0] == "p09"


@pytest.mark.parametrize("weight", [0.25, 10.0])
def test_a_passage_without_a_vector_takes_no_place_of_another(make, library, weight) -> None:
    """It has every word of the question, but how near it is nobody can tell yet."""
    for number in range(3):
        put(library, f"new{number}", f"Battery lamp hours lasts nine. {number}")
    hits = make(weight=weight).search("battery lamp hours lasts nine", k=4)
    assert len(hits) == 4
    assert not any(hit.passage.passage_id.startswith("new") for hit in hits)


def test_a_passage_that_only_the_index_still_knows_is_ignored(make) -> None:
    assert ids(make(dense=Named(("gone", 1.0), ("p02", 0.9))).search("illumination")) == ["p02"]


def test_langchain_gets_a_real_retriever_with_ids_and_scores(make) -> None:
    from langchain_core.documents import Document as LangChainDocument
    from langchain_core.retrievers import BaseRetriever

    retriever = make()
    wrapped = to_langchain_retriever(retriever, k=3)
    assert isinstance(wrapped, BaseRetriever)
    found = wrapped.invoke("How do I switch the lamp on?")
    hits = retriever.search("How do I switch the lamp on?", k=3)
    assert all(isinstance(document, LangChainDocument) for document in found)
    assert [document.id for document in found] == ids(hits)
    assert found[0].page_content == TEXTS["p01"]
    assert found[0].metadata == {
        "source": "p01.txt",
        "title": "",
        "page": 3,
        "rank": 1,
        "score": hits[0].score,
        "dense": hits[0].dense,
        "lexical": hits[0].lexical,
    }
    assert len(wrapped.invoke("lamp", k=5)) == 5
    assert [document.id for document in wrapped.invoke("lamp", where=parse_filter(["p06.txt", "p07.txt"]))] == [
        "p07",
        "p06",
    ]
    assert [len(documents) for documents in wrapped.batch(["lamp", "moths"])] == [3, 3]
