"""Exact nearest neighbours over the vectors in SQL: what answers while Chroma can't, and what Chroma is measured by."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import EncoderError

ScoredIds = list[tuple[str, float]]
"""(passage id, cosine), best first."""

COSINES_PER_BLOCK = 1 << 24  # cosines held at a time: 64 MiB


class ExactIndex:
    """Cosine of every passage, by one matrix product. Reads the vectors at the first search; threads may share it."""

    def __init__(self, vectors: PassageVectors) -> None:
        self._vectors = vectors
        self._lock = threading.Lock()
        self._matrix: tuple[list[str], FloatArray] | None = None

    def search(self, query_vectors: FloatArray, k: int) -> list[ScoredIds]:
        """For each row of *query_vectors*, `(q, dim)` float32 of unit length, the *k* nearest passages, best first.

        Fewer if there are fewer passages; equal cosines by passage id.

        Raises:
            EncoderError: the queries have another dimension than the passages.
        """
        ids, matrix = self._read()
        if not ids or k < 1:
            return [[] for _ in query_vectors]
        check_dimension(query_vectors, matrix.shape[1])
        found: list[ScoredIds] = []
        step = max(1, COSINES_PER_BLOCK // len(ids))
        for start in range(0, len(query_vectors), step):
            cosines = np.clip(query_vectors[start : start + step] @ matrix.T, -1, 1)
            found += [[(ids[i], float(row[i])) for i in top_rows(row, k)] for row in cosines]
        return found

    def cosines(self, query_vector: FloatArray) -> tuple[list[str], FloatArray]:
        """The ids of all passages that have a vector, and their cosines with *query_vector*, `(dim,)`, as `(n,)` float32.

        Raises:
            EncoderError: the query has another dimension than the passages.
        """
        ids, matrix = self._read()
        if not ids:
            return [], np.zeros(0, np.float32)
        check_dimension(query_vector[None, :], matrix.shape[1])
        return ids, np.clip(matrix @ query_vector, -1, 1)

    def count(self) -> int:
        """How many passages can be found."""
        return len(self._read()[0])

    def forget(self) -> None:
        """Lets go of the vectors that were read; the next search reads those that are there by then."""
        with self._lock:
            self._matrix = None

    def _read(self) -> tuple[list[str], FloatArray]:
        with self._lock:
            if self._matrix is None:
                self._matrix = self._vectors.matrix()
            return self._matrix


def check_dimension(queries: FloatArray, dim: int) -> None:
    """Refuses queries that can't be compared with the passages.

    Raises:
        EncoderError: they have another dimension.
    """
    if queries.shape[1] != dim:
        raise EncoderError(
            f"questions have {queries.shape[1]} dimensions, the passages {dim}: encode both with the same version"
        )


def top_rows(cosines: FloatArray, k: int) -> NDArray[np.intp]:
    """Rows of the *k* largest values, largest first, equal ones in their order.

    >>> top_rows(np.array([0.2, 0.9, 0.5, 0.9], np.float32), 3).tolist()
    [1, 3, 2]
    """
    if k >= len(cosines):
        return np.argsort(-cosines, kind="stable")
    least = np.partition(cosines, -k)[-k]
    rows = np.flatnonzero(cosines >= least)  # more than k if several share the last place
    return rows[np.argsort(-cosines[rows], kind="stable")][:k]
