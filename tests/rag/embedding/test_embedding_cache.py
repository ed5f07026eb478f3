"""What was encoded lately is not encoded again, by whoever asks."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rag.embedding.embedding_cache import EmbeddingCache


class Counting:
    """The real encoder, whose texts are counted."""

    def __init__(self, encoder) -> None:
        self.encoder_id = encoder.encoder_id
        self.passage_side = encoder.passage_side
        self._encoder = encoder
        self.encoded: list[str] = []

    def encode_queries(self, texts):
        self.encoded += texts
        return self._encoder.encode_queries(texts)

    def encode_passages(self, texts):
        self.encoded += texts
        return self._encoder.encode_passages(texts)


@pytest.fixture
def counting(base_encoder) -> Counting:
    return Counting(base_encoder)


def test_vectors_come_in_the_order_of_the_texts_and_are_the_encoders(counting, base_encoder) -> None:
    reader = EmbeddingCache().of(counting)
    reader.encode_passages(["owls", "bats"])
    found = reader.encode_passages(["moles", "bats", "owls", "bats"])
    assert np.allclose(found, base_encoder.encode_passages(["moles", "bats", "owls", "bats"]), atol=1e-6)
    assert counting.encoded == ["owls", "bats", "moles"]


def test_a_question_and_a_passage_of_the_same_words_are_not_the_same(counting) -> None:
    reader = EmbeddingCache().of(counting)
    reader.encode_passages(["owls"])
    reader.encode_queries(["owls"])
    assert counting.encoded == ["owls", "owls"]


def test_another_version_encodes_for_itself(counting) -> None:
    recent = EmbeddingCache()
    recent.of(counting).encode_queries(["owls"])
    counting.encoder_id = "another"
    recent.of(counting).encode_queries(["owls"])
    assert counting.encoded == ["owls", "owls"]


def test_versions_that_share_passages_share_their_sentences(counting) -> None:
    recent = EmbeddingCache()
    recent.of(counting).encode_passages(["owls"])
    counting.encoder_id = "a map of questions"
    recent.of(counting).encode_passages(["owls"])
    assert counting.encoded == ["owls"]
    counting.passage_side = "another tower"
    recent.of(counting).encode_passages(["owls"])
    assert counting.encoded == ["owls", "owls"]


def test_what_was_forgotten_is_encoded_again(counting) -> None:
    recent = EmbeddingCache()
    recent.of(counting).encode_queries(["owls"])
    recent.clear()
    recent.of(counting).encode_queries(["owls"])
    assert counting.encoded == ["owls", "owls"]


def test_what_was_asked_for_longest_ago_goes_first(counting) -> None:
    reader = EmbeddingCache(n_kept=2).of(counting)
    for text in ("owls", "bats", "owls", "moles", "owls", "bats"):
        reader.encode_queries([text])
    assert counting.encoded == ["owls", "bats", "moles", "bats"]


def test_people_who_meet_the_same_sentence_at_once_encode_it_once(counting) -> None:
    reader, begin = EmbeddingCache().of(counting), threading.Barrier(8)

    def meet() -> None:
        begin.wait()
        reader.encode_passages(["owls", "bats"])

    people = [threading.Thread(target=meet) for _ in range(8)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(counting.encoded) == ["bats", "owls"]


def test_nothing_is_asked_for_and_nothing_comes(counting) -> None:
    assert EmbeddingCache().of(counting).encode_passages([]).shape == (0, 384)
