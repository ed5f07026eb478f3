"""Whether a Chroma collection gives back what was put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag.arrays import FloatArray

if TYPE_CHECKING:
    from chromadb import Collection


READ_BATCH = 10_000  # rows; Chroma's get() fails at 32,767
SAMPLE_BATCH = 500  # sampled vectors a query; with 10 results each far below the same limit
N_SAMPLED = 1000
MAX_COSINE_ERROR = 1e-3  # a passage's own vector has cosine 1 to it, a twin's nearly so


def find_index_problems(collection: Collection, ids: Sequence[str], vectors: FloatArray) -> list[str]:
    """Returns what is wrong with an open collection; an empty list if it is consistent.

    Reads every row's vector, which fails if one is lost, and searches for the sampled *vectors*, `(n, dim)`, of
    those *ids* that are in the collection: each has to find itself, or a twin. A sound collection passes; not every
    broken one fails: see `rag.index.chroma_folder`.
    """
    n_rows = collection.count()
    found: set[str] = set()
    for offset in range(0, n_rows, READ_BATCH):
        page = collection.get(include=["embeddings"], limit=READ_BATCH, offset=offset)
        found.update(page["ids"])
        lengths = np.linalg.norm(page["embeddings"], axis=1)
        if not np.allclose(lengths, 1, atol=MAX_COSINE_ERROR):
            return [f"{int(np.sum(~np.isclose(lengths, 1, atol=MAX_COSINE_ERROR)))} vectors are not of unit length"]
    if len(found) != n_rows:
        return [f"{len(found)} ids for {n_rows} rows"]
    return _lost(collection, [(name, vector) for name, vector in zip(ids, vectors, strict=True) if name in found])


def _lost(collection: Collection, sample: list[tuple[str, FloatArray]]) -> list[str]:
    lost: list[str] = []
    for start in range(0, len(sample), SAMPLE_BATCH):
        some = sample[start : start + SAMPLE_BATCH]
        queries = np.stack([vector for _, vector in some])
        answer = collection.query(query_embeddings=queries, n_results=10, include=["distances"])
        for (name, _), ids, distances in zip(some, answer["ids"], answer["distances"], strict=True):
            # Among ten twins or more the passage itself may be absent.
            if (
                not distances
                or distances[0] > MAX_COSINE_ERROR
                or (name not in ids and distances[-1] > MAX_COSINE_ERROR)
            ):
                lost.append(name)
    return [f"{len(lost)} of {len(sample)} sampled passages are not found by their own vector"] if lost else []
