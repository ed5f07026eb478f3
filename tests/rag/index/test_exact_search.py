"""Exact search over the vectors in SQL."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import insert

from rag.database.schema import vectors as vectors_table
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import EncoderError
from rag.index.exact_search import ExactIndex, top_rows
from rag.library.library import Library
from rag.records import Document, Passage

SIDE = "side"


def store(engine, vectors: dict[str, list[float]]) -> None:
    """One document, with one passage per vector."""
    text = "".join(vectors)
    document = Document(
        document_id=f"d-{text}", source=f"source-{text}", title="", media_type="text/plain", sha256=text, text=text
    )
    passages = [
        Passage(
            passage_id=name,
            document_id=document.document_id,
            source=document.source,
            title="",
            heading="",
            text=name,
            start=0,
            end=len(name),
        )
        for name in vectors
    ]
    Library(engine).put(document, passages)
    with engine.begin() as connection:
        for passage in passages:
            vector = np.array(vectors[passage.passage_id], "<f4").tobytes()
            row = {"passage_side": SIDE, "text_sha256": passage.text_sha256, "vector": vector}
            connection.execute(insert(vectors_table).values(row))


def ask(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_passages_come_by_cosine_best_first(engine):
    store(engine, {"east": [1, 0], "north": [0, 1], "northeast": [0.6, 0.8], "west": [-1, 0]})
    found = ExactIndex(PassageVectors(engine, SIDE)).search(ask([1, 0], [0, 1]), 3)
    assert [[name for name, _ in hits] for hits in found] == [
        ["east", "northeast", "north"],
        ["north", "northeast", "east"],
    ]
    np.testing.assert_allclose([cosine for _, cosine in found[0]], [1, 0.6, 0], atol=1e-6)


def test_equal_cosines_come_by_passage_id_also_at_the_cut(engine):
    store(engine, {"c": [1, 0], "a": [1, 0], "d": [1, 0], "b": [1, 0], "z": [0, 1]})
    (hits,) = ExactIndex(PassageVectors(engine, SIDE)).search(ask([1, 0]), 2)
    assert [name for name, _ in hits] == ["a", "b"]


def test_more_than_there_is_gives_all(engine):
    store(engine, {"east": [1, 0], "north": [0, 1]})
    index = ExactIndex(PassageVectors(engine, SIDE))
    assert len(index.search(ask([1, 0]), 100)[0]) == 2
    assert index.search(ask([1, 0]), 0) == [[]]
    assert index.count() == 2


def test_an_empty_library_has_nothing_near(engine):
    assert ExactIndex(PassageVectors(engine, SIDE)).search(ask([1, 0], [0, 1]), 5) == [[], []]


def test_no_questions_give_no_answers(engine):
    store(engine, {"east": [1, 0]})
    assert ExactIndex(PassageVectors(engine, SIDE)).search(np.zeros((0, 2), np.float32), 5) == []


def test_new_passages_are_seen_once_the_old_ones_are_forgotten(engine):
    store(engine, {"east": [1, 0]})
    index = ExactIndex(PassageVectors(engine, SIDE))
    assert index.search(ask([0, 1]), 1)[0][0][0] == "east"
    store(engine, {"north": [0, 1]})
    index.forget()
    assert index.search(ask([0, 1]), 1)[0][0][0] == "north"


def test_questions_of_another_dimension_are_refused(engine):
    store(engine, {"east": [1, 0]})
    with pytest.raises(EncoderError, match="3 dimensions, the passages 2"):
        ExactIndex(PassageVectors(engine, SIDE)).search(ask([1, 0, 0]), 1)


def test_chunks_of_questions_give_the_same_answers(engine, monkeypatch):
    draw = np.random.default_rng(5)
    rows = draw.normal(size=(30, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    store(engine, {f"p{number:02}": row.tolist() for number, row in enumerate(rows)})
    index = ExactIndex(PassageVectors(engine, SIDE))
    whole = index.search(rows.astype(np.float32), 5)
    monkeypatch.setattr("rag.index.exact_search.COSINES_PER_BLOCK", 70)  # two questions at a time
    pieces = index.search(rows.astype(np.float32), 5)
    assert [[name for name, _ in hits] for hits in pieces] == [[name for name, _ in hits] for hits in whole]


@pytest.mark.parametrize("seed", range(5))
def test_nearest_agrees_with_a_full_sort(seed):
    values = np.random.default_rng(seed).integers(0, 6, 40).astype(np.float32)
    for k in (1, 7, 39, 40, 99):
        assert top_rows(values, k).tolist() == np.argsort(-values, kind="stable")[:k].tolist()
