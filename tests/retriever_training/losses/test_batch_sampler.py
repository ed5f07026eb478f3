"""Which rows share a batch: no text twice, near topics together, another order every epoch, the same under one seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from retriever_training.losses.batch_sampler import DistinctTextBatchSampler, cluster_topics, count_batches

UNRELATED = [frozenset({row}) for row in range(100)]


def of_epoch(batches: DistinctTextBatchSampler, epoch: int) -> list[list[int]]:
    batches.set_epoch(epoch)
    return list(batches)


def topical_vectors(n_topics: int, of_each: int) -> np.ndarray:
    """Rows 0, n, 2n … are about the first topic: unit vectors around one axis each."""
    generator = np.random.default_rng(5)
    vectors = np.tile(np.eye(n_topics, 16), (of_each, 1)) + 0.05 * generator.normal(size=(n_topics * of_each, 16))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_no_text_stands_twice_in_a_batch() -> None:
    """Fifty passages with two questions each, batches of twenty."""
    texts = [frozenset({row // 2, 1000 + row}) for row in range(100)]
    for batch in of_epoch(DistinctTextBatchSampler(texts, 20, seed=1), 0):
        assert max(Counter(text for row in batch for text in texts[row]).values()) == 1


def test_every_row_comes_once_an_epoch() -> None:
    assert sorted(
        row for batch in of_epoch(DistinctTextBatchSampler(UNRELATED, 10, seed=1), 0) for row in batch
    ) == list(range(100))


def test_an_epoch_has_the_batches_it_promised_even_where_all_rows_share_a_text() -> None:
    batches = DistinctTextBatchSampler([frozenset({7})] * 23, 5, seed=1)
    made = of_epoch(batches, 0)
    assert [len(batch) for batch in made] == [5, 5, 5, 5]
    assert len(made) == len(batches) == count_batches(23, 5)


def test_rows_left_over_change_from_epoch_to_epoch() -> None:
    batches = DistinctTextBatchSampler(UNRELATED[:23], 5, seed=1)
    left = [frozenset(range(23)) - {row for batch in of_epoch(batches, epoch) for row in batch} for epoch in range(4)]
    assert len(set(left)) > 1


def test_a_small_set_is_taken_whole() -> None:
    assert sorted(map(len, of_epoch(DistinctTextBatchSampler(UNRELATED[:7], 5, seed=1), 0))) == [2, 5]


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    first, second = DistinctTextBatchSampler(UNRELATED, 10, seed=1), DistinctTextBatchSampler(UNRELATED, 10, seed=1)
    assert of_epoch(first, 0) != of_epoch(first, 1)
    assert of_epoch(first, 1) == of_epoch(second, 1)
    assert of_epoch(first, 0) != of_epoch(DistinctTextBatchSampler(UNRELATED, 10, seed=2), 0)


def test_topics_are_found() -> None:
    topics = cluster_topics(topical_vectors(4, 25), 4, seed=1)
    assert [len(set(topics[start::4].tolist())) for start in range(4)] == [1, 1, 1, 1]
    assert len(set(topics.tolist())) == 4


def test_neighbouring_topics_have_neighbouring_numbers() -> None:
    """Points on half a circle: numbered along it, whatever the first one is there are at most two leaps."""
    angles = np.linspace(0, np.pi, 12)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    topics = cluster_topics(vectors, 12, seed=3)
    assert (np.abs(np.diff(topics)) > 1).sum() <= 2


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.25), (0.5, 0.45), (1.0, 0.9)])
def test_the_share_of_near_topics_decides_how_alike_a_batch_is(share: float, expected: float) -> None:
    """Four topics: by chance a batch's commonest topic makes up about a third of it; the random part dilutes."""
    topics = cluster_topics(topical_vectors(4, 50), 4, seed=1)
    texts = [frozenset({row}) for row in range(200)]
    commonest = [
        Counter(topics[batch].tolist()).most_common(1)[0][1] / len(batch)
        for batch in of_epoch(DistinctTextBatchSampler(texts, 10, 1, topics, share), 0)
    ]
    assert expected <= float(np.mean(commonest)) <= expected + 0.25


def test_topical_batches_hold_every_row_once() -> None:
    topics = cluster_topics(topical_vectors(4, 25), 4, seed=1)
    for epoch in range(2):
        made = of_epoch(DistinctTextBatchSampler(UNRELATED, 10, 1, topics, 0.5), epoch)
        assert sorted(row for batch in made for row in batch) == list(range(100))


def test_parts_come_one_after_the_other_and_each_is_whole() -> None:
    batches = DistinctTextBatchSampler(UNRELATED[:40], 5, seed=1, n_parts=2)
    made = [row for batch in of_epoch(batches, 0) for row in batch]
    assert len(batches) == 8
    assert sorted(made[:20]) == list(range(20))
    assert sorted(made[20:]) == list(range(20, 40))
