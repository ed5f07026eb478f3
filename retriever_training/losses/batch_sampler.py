"""Which rows share a batch: no text twice, and, if wanted, questions of near topics, whose passages are hard negatives."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray, IntArray

MAX_EXCHANGES = 50  # batches that are asked to take one of two rows with the same text
KMEANS_ROUNDS = 10  # of k-means; batches do not need the last word on where a topic ends


def count_batches(n_rows: int, batch_size: int) -> int:
    """How many batches an epoch has: all of one size if there are two or more, and else whatever there is.

    >>> count_batches(70, 32), count_batches(40, 32), count_batches(5, 32)
    (2, 2, 1)
    """
    return n_rows // batch_size if n_rows >= 2 * batch_size else ceil(n_rows / batch_size)


class DistinctTextBatchSampler:
    """A batch sampler for the SentenceTransformerTrainer: another order every epoch, the same under one seed."""

    def __init__(
        self,
        texts: Sequence[frozenset[int]],
        batch_size: int,
        seed: int,
        topics: IntArray | None = None,
        topic_share: float = 0.0,
        n_parts: int = 1,
    ) -> None:
        """*texts*: the numbers of each row's texts; *topics*: `(r,)`, each row's topic as `topics_of` gives it.

        The rows are *n_parts* of one size; all batches of one part come before those of the next.
        """
        assert len(texts) % n_parts == 0, "every part has as many rows"
        self._texts = texts
        self.batch_size = batch_size
        self._parts = np.arange(len(texts)).reshape(n_parts, -1)
        self.drop_last = self._parts.shape[1] >= 2 * batch_size
        self._seed = seed
        self._topics = topics
        self._topic_share = topic_share if topics is not None else 0.0
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._parts) * count_batches(self._parts.shape[1], self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for number, part in enumerate(self._parts):
            yield from self._of_part(part, np.random.default_rng([self._seed, self._epoch + number]))

    def _of_part(self, part: NDArray[Any], generator: np.random.Generator) -> Iterator[list[int]]:
        shuffled = generator.permutation(part)
        n_topical = round(self._topic_share * len(shuffled))
        near = shuffled[:n_topical]
        if n_topical and self._topics is not None:
            near = _topic_by_topic(near, self._topics, generator)
        streams = deque(near.tolist()), deque(shuffled[n_topical:].tolist())
        per_batch = round(self._topic_share * self.batch_size)
        n_made = count_batches(len(part), self.batch_size)
        made = [fill_batch(streams, self._texts, self.batch_size, per_batch) for _ in range(n_made)]
        separate_duplicates(made, self._texts)
        for index in generator.permutation(len(made)):
            yield made[index]


def fill_batch(
    streams: tuple[deque[int], deque[int]], texts: Sequence[frozenset[int]], size: int, n_first: int
) -> list[int]:
    """Takes a batch off the streams: *n_first* rows of the first, the rest of the second, or of either if one is dry.

    A row that shares a text with the batch is left for the next one; when nothing else is left it is taken all the
    same, for the loss masks what is no negative.

    >>> streams = deque([0, 1, 2]), deque([3])
    >>> fill_batch(streams, [frozenset({7}), frozenset({7}), frozenset({8}), frozenset({9})], 3, 2), streams
    ([0, 2, 3], (deque([1]), deque([])))
    """
    taken: list[int] = []
    used: set[int] = set()
    for stream, limit in ((streams[0], n_first), (streams[1], size), (streams[0], size)):
        postponed: list[int] = []
        while stream and len(taken) < limit:
            row = stream.popleft()
            if used.isdisjoint(texts[row]):
                taken.append(row)
                used |= texts[row]
            else:
                postponed.append(row)
        stream.extendleft(reversed(postponed))
    for stream in streams:
        while stream and len(taken) < size:
            taken.append(stream.popleft())
    return taken


def separate_duplicates(batches: list[list[int]], texts: Sequence[frozenset[int]]) -> None:
    """Exchanges rows between batches, in place, until no two of a batch share a text, as far as that can be had.

    The last batches are filled with what is left, whatever it is.

    >>> batches = [[0, 1], [2, 3]]
    >>> separate_duplicates(batches, [frozenset({7}), frozenset({8}), frozenset({9}), frozenset({9})])
    >>> batches
    [[2, 1], [0, 3]]
    """
    counts = [Counter(text for row in batch for text in texts[row]) for batch in batches]
    for here, batch in enumerate(batches):
        for index, row in enumerate(batch):
            if max(counts[here][text] for text in texts[row]) > 1:
                _exchange(batches, texts, counts, here, index)


def _exchange(
    batches: list[list[int]], texts: Sequence[frozenset[int]], counts: list[Counter[int]], here: int, place: int
) -> None:
    row = batches[here][place]
    counts[here].subtract(texts[row])
    for there in sorted(range(len(batches)), key=lambda other: abs(other - here))[1 : 1 + MAX_EXCHANGES]:
        if any(counts[there][text] > 0 for text in texts[row]):
            continue
        for its_place, other_row in enumerate(batches[there]):
            if all(counts[here][text] == 0 for text in texts[other_row]):
                batches[here][place], batches[there][its_place] = other_row, row
                counts[there].subtract(texts[other_row])
                counts[there].update(texts[row])
                counts[here].update(texts[other_row])
                return
    counts[here].update(texts[row])


def cluster_topics(vectors: FloatArray, n_topics: int, seed: int) -> IntArray:
    """`(n,)`, the topic of each of `(n, dim)` unit vectors, by spherical k-means (Dhillon and Modha 2001).

    Topics are numbered so that neighbours in number are near: from one to the nearest that has no number yet.

    >>> vectors = np.array([[1, 0], [0, 1], [0.98, 0.2], [0.2, 0.98]], np.float32)
    >>> topics = cluster_topics(vectors, 2, seed=1)
    >>> bool(topics[0] == topics[2] != topics[1] == topics[3])
    True
    """
    generator = np.random.default_rng(seed)
    n_topics = min(n_topics, len(vectors))
    centres = vectors[generator.choice(len(vectors), n_topics, replace=False)].copy()
    nearest = np.zeros(len(vectors), np.int64)
    for _ in range(KMEANS_ROUNDS):
        nearest = _nearest(vectors, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), centres)
    number = np.empty(n_topics, np.int64)
    number[_chain(centres)] = np.arange(n_topics)
    return np.asarray(number[nearest], np.int64)


def _nearest(vectors: FloatArray, centres: FloatArray, at_once: int = 4096) -> IntArray:
    """`(n,)`, the centre of the highest cosine."""
    blocks = [
        (vectors[start : start + at_once] @ centres.T).argmax(axis=1) for start in range(0, len(vectors), at_once)
    ]
    return np.concatenate(blocks).astype(np.int64)


def _chain(centres: FloatArray) -> list[int]:
    """All centres, each followed by the nearest one that has not come yet."""
    left = np.ones(len(centres), bool)
    chain = [0]
    left[0] = False
    while left.any():
        near = np.where(left, centres @ centres[chain[-1]], -np.inf)
        chain.append(int(near.argmax()))
        left[chain[-1]] = False
    return chain


def _topic_by_topic(rows: NDArray[Any], topics: IntArray, generator: np.random.Generator) -> NDArray[Any]:
    """The rows, topic after topic from a random one on; inside a topic in the order they come in."""
    n_topics = int(topics.max()) + 1
    start = int(generator.integers(n_topics))
    return rows[np.argsort((topics[rows] - start) % n_topics, kind="stable")]
