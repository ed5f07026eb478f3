"""Vectors: one for each text and side, filled once, resumed after a kill, read as a matrix."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from sqlalchemy import update

from rag.database.schema import passages
from rag.embedding.passage_vectors import FILL_BATCH, PassageVectors
from rag.errors import EncoderError
from rag.library.library import Library
from rag.records import Document, Passage, sha256_of
from rag.splitting.splitter import make_document_id, make_passage_id


class Letters:
    """An encoder that can be worked out by hand: a direction for each text, by its checksum."""

    def __init__(self, passage_side: str = "letters", fail_after: int | None = None) -> None:
        self.passage_side = passage_side
        self.seen: list[str] = []
        self.fail_after = fail_after

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        if self.fail_after is not None and len(self.seen) + len(texts) > self.fail_after:
            raise KeyboardInterrupt
        self.seen += texts
        angles = np.array([zlib.crc32(text.encode()) for text in texts], np.float64)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def library(engine) -> Library:
    return Library(engine)


def put(library: Library, source: str, *texts: str, title: str = "T") -> list[str]:
    document_id = make_document_id(source)
    made = [
        Passage(
            passage_id=make_passage_id(document_id, "", t),
            document_id=document_id,
            source=source,
            title=title,
            heading="",
            text=t,
            start=0,
            end=len(t),
        )
        for t in texts
    ]
    library.put(
        Document(
            document_id=document_id,
            source=source,
            title=title,
            media_type="text/plain",
            sha256=sha256_of("".join(texts)),
            text="".join(texts),
        ),
        made,
    )
    return [passage.passage_id for passage in made]


def test_every_passage_gets_the_vector_of_its_encoded_text(library, engine) -> None:
    one, two = put(library, "a.txt", "One.", "Two.")
    vectors, encoder = PassageVectors(engine, "letters"), Letters()
    assert vectors.missing() == 2
    assert vectors.fill(encoder) == 2
    assert vectors.missing() == 0
    assert set(encoder.seen) == {"T\nOne.", "T\nTwo."}
    ids, matrix = vectors.matrix()
    assert ids == sorted([one, two])
    assert matrix.dtype == np.float32
    expected = Letters().encode_passages(["T\nOne." if i == one else "T\nTwo." for i in ids])
    np.testing.assert_array_equal(matrix, expected)
    np.testing.assert_array_equal(vectors.rows([two, "absent"])[two], matrix[ids.index(two)])
    assert vectors.rows(["absent"]) == {}


def test_equal_texts_are_encoded_once(library, engine) -> None:
    put(library, "a.txt", "Same.")
    put(library, "b.txt", "Same.")
    vectors, encoder = PassageVectors(engine, "letters"), Letters()
    assert vectors.missing() == 1
    assert vectors.fill(encoder) == 1
    ids, matrix = vectors.matrix()
    assert len(ids) == 2
    np.testing.assert_array_equal(matrix[0], matrix[1])


def test_filling_again_encodes_only_what_is_new(library, engine) -> None:
    put(library, "a.txt", "One.")
    vectors = PassageVectors(engine, "letters")
    vectors.fill(Letters())
    put(library, "b.txt", "Two.")
    encoder = Letters()
    assert vectors.fill(encoder) == 1
    assert encoder.seen == ["T\nTwo."]
    assert vectors.fill(encoder) == 0


def test_a_new_title_makes_a_new_vector(library, engine) -> None:
    put(library, "a.txt", "One.")
    vectors = PassageVectors(engine, "letters")
    vectors.fill(Letters())
    put(library, "a.txt", "One.", title="Other")
    assert vectors.missing() == 1
    assert vectors.matrix()[0] == []


def test_the_longest_texts_go_first(library, engine) -> None:
    put(library, "a.txt", "ccc", "a", "bb")
    encoder = Letters()
    PassageVectors(engine, "letters").fill(encoder)
    assert encoder.seen == ["T\nccc", "T\nbb", "T\na"]


def test_an_interrupted_fill_keeps_whole_batches_and_goes_on_there(library, engine) -> None:
    put(library, "a.txt", *(f"Text {i}." for i in range(FILL_BATCH + 100)))
    vectors, done = PassageVectors(engine, "letters"), []
    with pytest.raises(KeyboardInterrupt):
        vectors.fill(Letters(fail_after=FILL_BATCH), done.append)
    assert done == [FILL_BATCH]
    assert vectors.missing() == 100
    ids, matrix = vectors.matrix()
    assert (len(ids), matrix.shape) == (FILL_BATCH, (FILL_BATCH, 2))
    assert vectors.fill(Letters()) == 100


def test_sides_do_not_see_each_other(library, engine) -> None:
    put(library, "a.txt", "One.")
    PassageVectors(engine, "letters").fill(Letters())
    other = PassageVectors(engine, "other")
    assert other.missing() == 1
    assert other.matrix()[0] == []
    other.fill(Letters("other"))
    other.drop()
    assert other.missing() == 1
    assert PassageVectors(engine, "letters").missing() == 0


def test_an_encoder_of_another_side_is_refused(library, engine) -> None:
    put(library, "a.txt", "One.")
    with pytest.raises(EncoderError, match="passage side 'other' can't fill the vectors of 'letters'"):
        PassageVectors(engine, "letters").fill(Letters("other"))


def test_an_empty_library_gives_an_empty_matrix(engine) -> None:
    vectors = PassageVectors(engine, "letters")
    assert vectors.fill(Letters()) == 0
    ids, matrix = vectors.matrix()
    assert (ids, matrix.shape, matrix.dtype) == ([], (0, 0), np.float32)


class Meddling(Letters):
    """While its first batch is encoded, somebody changes the library."""

    def __init__(self, meddle) -> None:
        super().__init__()
        self.meddle = meddle

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        if not self.seen:
            self.meddle()
        return super().encode_passages(texts)


def test_a_document_that_goes_while_vectors_are_filled_is_left_out(library, engine) -> None:
    put(library, "a.txt", *(f"A longer text {i}." for i in range(FILL_BATCH)))
    put(library, "b.txt", "Short.")
    vectors = PassageVectors(engine, "letters")
    assert vectors.fill(Meddling(lambda: library.remove("b.txt"))) == FILL_BATCH
    assert vectors.missing() == 0


def test_a_passage_that_changes_while_vectors_are_filled_gets_no_vector_of_another_text(library, engine) -> None:
    put(library, "a.txt", *(f"A longer text {i}." for i in range(FILL_BATCH)))
    (short,) = put(library, "b.txt", "Short.")
    vectors = PassageVectors(engine, "letters")
    vectors.fill(Meddling(lambda: put(library, "b.txt", "Short.", title="U")))
    assert vectors.missing() == 1
    put(library, "b.txt", "Short.", title="T")  # the text that was to be encoded comes back
    vectors.fill(Letters())
    np.testing.assert_array_equal(vectors.rows([short])[short], Letters().encode_passages(["T\nShort."])[0])


def test_a_passage_that_an_earlier_nightjar_hashed_otherwise_gets_its_vector(library, engine) -> None:
    """What is encoded of long headings has changed; the hash in the library is of what was encoded before."""
    put(library, "a.txt", "One.")
    with engine.begin() as connection:
        connection.execute(update(passages).values(text_sha256="of longer headings"))
    vectors, encoder = PassageVectors(engine, "letters"), Letters()
    assert vectors.fill(encoder) == 1
    assert (vectors.missing(), encoder.seen) == (0, ["T\nOne."])


def test_two_processes_that_fill_at_once_leave_one_vector_each(library, engine) -> None:
    put(library, "a.txt", "One.")
    vectors = PassageVectors(engine, "letters")
    assert vectors.fill(Meddling(lambda: PassageVectors(engine, "letters").fill(Letters()))) == 1
    assert vectors.missing() == 0
    assert len(vectors.matrix()[0]) == 1


def test_the_real_encoder_fills_and_finds(library, engine, base_encoder) -> None:
    lamp, _ = put(library, "a.txt", "The lamp is switched on with the red button.", "Moths fly at night.", title="")
    vectors = PassageVectors(engine, base_encoder.passage_side)
    vectors.fill(base_encoder)
    ids, matrix = vectors.matrix()
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)
    (question,) = base_encoder.encode_queries(["How do I turn on the light?"])
    assert ids[int(np.argmax(matrix @ question))] == lamp
