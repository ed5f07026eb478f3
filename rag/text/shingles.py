"""Whether two passages say the same in the same words: shingles, runs of k words, and how many they share.

Broder, "On the resemblance and containment of documents", 1997. A passage that was cut out of another one resembles it
little, because it lacks most words of the larger one, but is contained in it. So near-duplicates are found by containment.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from rag.arrays import IntArray
from rag.database.sql_batches import batched

K = 5
"""Words in a shingle: shorter runs are shared by chance, longer ones break at every changed word."""
PAIRS_AT_ONCE = 8192  # × 2 passages of 100 shingles: 20 MB
PASSAGES_AT_ONCE = 2048  # × 100 words, 8 bytes, and a few such arrays: 10 MB
NO_WORD = ""  # number 0, which fills up a text that is shorter than K: its only run

_WORD = re.compile(r"\w+")
_FACTORS = np.array([pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(1, K + 1)], np.uint64)


def normalise_words(text: str) -> str:
    """Returns the words of a text without the differences of case, punctuation and spaces.

    >>> normalise_words("Wash  your hands!") == normalise_words("wash your HANDS")
    True
    """
    return " ".join(_WORD.findall(text.casefold()))


def shingles(text: str, k: int = K) -> frozenset[str]:
    """The runs of *k* words of a text; of a shorter one, all its words as one run.

    >>> sorted(shingles("A rose is a rose.", k=3))
    ['a rose is', 'is a rose', 'rose is a']
    """
    words = normalise_words(text).split()
    return frozenset(" ".join(words[start : start + k]) for start in range(max(min(1, len(words)), len(words) - k + 1)))


def resemblance(one: Set[str], other: Set[str]) -> float:
    """The share of all shingles that both have, in 0 to 1 (Jaccard): |A ∩ B| / |A ∪ B|.

    >>> resemblance({"a", "b", "c"}, {"b", "c", "d"})
    0.5
    """
    return len(one & other) / max(1, len(one | other))


def containment(one: Set[str], other: Set[str]) -> float:
    """The share of the smaller one's shingles that the other has too, in 0 to 1: never less than the resemblance.

    >>> containment({"a", "b"}, {"b", "c", "d"})
    0.5
    """
    return len(one & other) / max(1, min(len(one), len(other)))


class ShingleIndex:
    """The shingles of many passages, hashed; each passage is cut up once, when it is first asked for.

    *plain* gives a passage's plain words by its row. 100 shingles take 400 bytes.
    """

    def __init__(self, plain: Callable[[int], str]) -> None:
        self._plain = plain
        self._numbers: defaultdict[str, int] = defaultdict(count(1).__next__, {NO_WORD: 0})
        self._hashes: dict[int, NDArray[np.uint32]] = {}

    def containments(self, left: IntArray, right: IntArray) -> NDArray[np.float64]:
        """`containment` of every pair of passages, `(m,)` each; two hashes in 4 billion are taken for one."""
        parts = [
            self._containments(left[start : start + PAIRS_AT_ONCE], right[start : start + PAIRS_AT_ONCE])
            for start in range(0, len(left), PAIRS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _containments(self, left: IntArray, right: IntArray) -> NDArray[np.float64]:
        from scipy.sparse import csr_array

        rows, places = np.unique(np.concatenate([left, right]), return_inverse=True)
        self._cut([row for row in rows.tolist() if row not in self._hashes])
        hashes = [self._hashes[row] for row in rows.tolist()]
        sizes = np.array([len(part) for part in hashes], np.int64)
        indptr = np.concatenate([[0], np.cumsum(sizes)])
        columns = np.concatenate(hashes).astype(np.int64)
        matrix = csr_array((np.ones(len(columns), np.int32), columns, indptr), shape=(len(rows), 2**32))
        one, other = np.split(places, 2)
        shared = (matrix[one] * matrix[other]).sum(axis=1)
        return np.asarray(shared / np.maximum(1, np.minimum(sizes[one], sizes[other])))

    def _cut(self, rows: Sequence[int]) -> None:
        """Notes the different hashes of each passage's shingles, in order; all passages at once."""
        for batch in batched(rows, PASSAGES_AT_ONCE):
            texts = [self._plain(row).split() for row in batch]
            padded = [words + [NO_WORD] * (K - len(words)) if 0 < len(words) < K else words for words in texts]
            lengths = np.fromiter(map(len, padded), np.int64, len(padded))
            words = chain.from_iterable(padded)
            numbers = np.fromiter(map(self._numbers.__getitem__, words), np.uint64, int(lengths.sum()))
            for row, runs in zip(batch, _hashed_runs(numbers, lengths), strict=True):
                self._hashes[row] = runs


def _hashed_runs(numbers: NDArray[np.uint64], lengths: IntArray) -> list[NDArray[np.uint32]]:
    """For each text the different hashes of its runs of K words: Σ word · factor over the run, its upper half.

    *numbers* are the words of all texts, one after the other, *lengths* how many each has: none, or at least K.
    """
    n_runs = np.maximum(0, lengths - K + 1)
    if not n_runs.sum():
        return [np.zeros(0, np.uint32)] * len(lengths)
    text = np.repeat(np.arange(len(lengths)), n_runs)
    starts = np.arange(len(text)) + (np.cumsum(lengths) - lengths - np.cumsum(n_runs) + n_runs)[text]
    sums = sum((numbers[starts + index] * _FACTORS[index] for index in range(K)), np.zeros(len(text), np.uint64))
    keys = np.sort(text.astype(np.uint64) << np.uint64(32) | sums >> np.uint64(32))  # np.unique hashes: twice as long
    keys = keys[np.append(True, keys[1:] != keys[:-1])]
    ends = np.searchsorted(keys, np.arange(1, len(lengths)).astype(np.uint64) << np.uint64(32))
    return np.split(keys.astype(np.uint32), ends)
