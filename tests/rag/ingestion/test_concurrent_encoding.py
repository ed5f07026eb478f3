"""Encoding beside reading: every text once, whatever becomes of the reading, and every source told how far it is."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rag.embedding.passage_vectors import PassageVectors
from rag.errors import EncoderError
from rag.ingestion.concurrent_encoding import ConcurrentEncoder
from rag.ingestion.progress import FileProgress
from rag.library.library import Library
from rag.records import Document, Passage


class Counting:
    """An encoder that remembers what it was given; the real one is measured elsewhere."""

    passage_side = "side"
    dim = 2

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode_passages(self, texts, progress=lambda n: None):
        self.seen += texts
        return np.tile(np.array([[0.6, 0.8]], np.float32), (len(texts), 1))


@pytest.fixture
def library(engine) -> Library:
    return Library(engine)


def stored(library: Library, source: str, *texts: str) -> list[Passage]:
    made = [
        Passage(
            passage_id=f"{source}-{n}",
            document_id=f"of-{source}",
            source=source,
            title="",
            heading="",
            text=text,
            start=0,
            end=len(text),
        )
        for n, text in enumerate(texts)
    ]
    library.put(
        Document(
            document_id=f"of-{source}",
            source=source,
            title="",
            media_type="text/plain",
            sha256=source,
            text=" ".join(texts),
        ),
        made,
    )
    return made


def test_every_text_is_encoded_once_and_every_source_is_told_how_far_it_is(library) -> None:
    encoder, steps = Counting(), []
    vectors = PassageVectors(library.engine, "side")
    with ConcurrentEncoder(vectors, lambda: encoder, steps.append) as beside:
        beside.take(stored(library, "a.md", "Owls.", "Moths.", "Owls."))
        beside.take(stored(library, "b.md", "Owls.", "Lamps."))
        encoded = beside.finish()
    assert sorted(encoder.seen) == ["Lamps.", "Moths.", "Owls."]
    assert (encoded.n_encoded, vectors.missing()) == (3, 0)
    assert set(steps) == {
        FileProgress(source="a.md", stage="encoding", note="", n_passages=2, n_encoded=2),
        FileProgress(source="b.md", stage="encoding", note="", n_passages=2, n_encoded=2),
    }


def test_the_encoder_is_not_opened_where_nothing_is_new(library) -> None:
    passages = stored(library, "a.md", "Owls.")
    PassageVectors(library.engine, "side").fill(Counting())
    with ConcurrentEncoder(PassageVectors(library.engine, "side"), lambda: pytest.fail("it was opened")) as beside:
        beside.take(passages)
        assert beside.finish().n_encoded == 0


def test_what_the_encoder_raises_is_raised_where_it_is_waited_for_and_the_reading_does_not_hang(
    library, monkeypatch
) -> None:
    def broken():
        raise EncoderError("no weights")

    monkeypatch.setattr("rag.ingestion.concurrent_encoding.MAX_QUEUED_TEXTS", 1)
    monkeypatch.setattr("rag.ingestion.concurrent_encoding.MIN_BATCH_TEXTS", 1)
    with ConcurrentEncoder(PassageVectors(library.engine, "side"), broken) as beside:
        for number in range(5):
            beside.take(stored(library, f"{number}.md", f"Text {number}.", f"More {number}."))
        with pytest.raises(EncoderError, match="no weights"):
            beside.finish()


def test_a_reading_that_is_far_ahead_waits_for_the_encoder(library, monkeypatch) -> None:
    may_go, encoder = threading.Event(), Counting()
    monkeypatch.setattr("rag.ingestion.concurrent_encoding.MAX_QUEUED_TEXTS", 2)

    def opened():
        may_go.wait(30)
        return encoder

    monkeypatch.setattr("rag.ingestion.concurrent_encoding.MIN_BATCH_TEXTS", 1)
    with ConcurrentEncoder(PassageVectors(library.engine, "side"), opened) as beside:
        beside.take(stored(library, "a.md", "Owls."))
        more = [stored(library, f"{number}.md", f"Text {number}.", f"More {number}.") for number in range(3)]
        reading = threading.Thread(target=lambda: [beside.take(text) for text in more])
        reading.start()
        reading.join(0.5)
        assert reading.is_alive()
        may_go.set()
        reading.join(30)
        assert beside.finish().n_encoded == 7


def test_what_waits_when_it_is_stopped_is_left_to_the_next_ingest(library) -> None:
    encoder = Counting()
    vectors = PassageVectors(library.engine, "side")
    with ConcurrentEncoder(vectors, lambda: encoder, is_stopped=lambda: True) as beside:
        beside.take(stored(library, "a.md", "Owls."))
        assert beside.finish().n_encoded == 0
    assert (encoder.seen, vectors.missing()) == ([], 1)
