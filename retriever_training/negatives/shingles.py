"""Whether two passages say the same in the same words: shingles, runs of k words, and how many they share.

Broder, "On the resemblance and containment of documents", 1997. A passage that was cut out of another one resembles it
little, for most words of the larger are missing; it is contained in it all the same. So containment is what cleaning asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

K = 5
"""Words a shingle: shorter runs are shared by chance, longer ones break at every changed word."""
PAIRS_AT_ONCE = 8192  # × 2 passages of 100 shingles: 20 MB

_WORD = re.compile(r"\w+")
_FACTORS = np.array([pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(1, K + 1)], np.uint64)


def plain(text: str) -> str:
    """The words of a text, so that case, marks and spaces make no difference.

    >>> plain("Wash  your hands!") == plain("wash your HANDS")
    True
    """
    return " ".join(_WORD.findall(text.casefold()))


def shingles(text: str, k: int = K) -> frozenset[str]:
    """The runs of *k* words of a text; of a shorter one, all its words as one run.

    >>> sorted(shingles("A rose is a rose.", k=3))
    ['a rose is', 'is a rose', 'rose is a']
    """
    words = plain(text).split()
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


class Shingled:
    """The shingles of many passages, hashed; each passage is cut up once, when it is first asked for.

    *plain* gives a passage's plain words by its row. 100 shingles take 400 bytes.
    """

    def __init__(self, plain: Callable[[int], str]) -> None:
        self._plain = plain
        self._words: dict[str, int] = {}
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
        hashes = [self._of(int(row)) for row in rows]
        sizes = np.array([len(some) for some in hashes], np.int64)
        indptr = np.concatenate([[0], np.cumsum(sizes)])
        columns = np.concatenate(hashes).astype(np.int64)
        matrix = csr_array((np.ones(len(columns), np.int32), columns, indptr), shape=(len(rows), 2**32))
        one, other = np.split(places, 2)
        shared = (matrix[one] * matrix[other]).sum(axis=1)
        return np.asarray(shared / np.maximum(1, np.minimum(sizes[one], sizes[other])))

    def _of(self, row: int) -> NDArray[np.uint32]:
        """The different hashes of a passage's shingles, in order: Σ word · factor over the run, its upper half."""
        if row not in self._hashes:
            words = self._plain(row).split()
            numbers = np.array([self._words.setdefault(word, len(self._words) + 1) for word in words], np.uint64)
            if 0 < len(numbers) < K:
                numbers = np.pad(numbers, (0, K - len(numbers)))  # word 0 is none: a short text's only run
            runs = np.lib.stride_tricks.sliding_window_view(numbers, K) if len(numbers) else np.zeros((0, K), np.uint64)
            self._hashes[row] = np.unique(
                ((runs * _FACTORS).sum(axis=1, dtype=np.uint64) >> np.uint64(32)).astype(np.uint32)
            )
        return self._hashes[row]
