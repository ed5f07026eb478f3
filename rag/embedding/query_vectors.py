"""Vectors of questions, kept in SQL like those of passages: a question that was judged once is encoded once a version.

What somebody only typed is encoded in passing, and nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from sqlalchemy import Engine, select

from rag.arrays import FloatArray
from rag.database.schema import read_connection, vectors
from rag.database.sql_batches import SQL_BATCH, batched
from rag.embedding.passage_vectors import store_vectors
from rag.embedding.protocols import VersionQueryEncoder
from rag.records import sha256_of

ENCODE_BATCH = 1024  # questions between two commits


def get_query_vectors(
    engine: Engine,
    encoder: VersionQueryEncoder,
    questions: Sequence[str],
    progress: Callable[[int], None] = lambda n: None,
    unstored: Collection[str] = (),
) -> FloatArray:
    """`(q, dim)` float32, unit rows, in the order of *questions*; what is new is encoded and, unless *unstored*, kept."""
    known = load_query_vectors(engine, encoder.encoder_id, questions)
    progress(sum(question in known for question in questions))
    fresh = [question for question in dict.fromkeys(questions) if question not in known]
    for batch in batched(fresh, ENCODE_BATCH):
        encoded = encoder.encode_queries(batch)
        kept = [index for index, question in enumerate(batch) if question not in unstored]
        if kept:
            store_vectors(engine, _side(encoder.encoder_id), [sha256_of(batch[index]) for index in kept], encoded[kept])
        known.update(zip(batch, encoded, strict=True))
        progress(len(batch))
    return np.stack([known[question] for question in questions]) if questions else encoder.encode_queries([])


def load_query_vectors(engine: Engine, encoder_id: str, questions: Sequence[str]) -> dict[str, FloatArray]:
    """question → `(dim,)` for those that this version has encoded before; the others are left out."""
    by_hash = {sha256_of(question): question for question in questions}
    found: dict[str, FloatArray] = {}
    with read_connection(engine) as connection:
        for batch in batched(list(by_hash), SQL_BATCH):
            query = select(vectors.c.text_sha256, vectors.c.vector).where(
                vectors.c.passage_side == _side(encoder_id), vectors.c.text_sha256.in_(batch)
            )
            for row in connection.execute(query):
                found[by_hash[row.text_sha256]] = np.frombuffer(row.vector, np.float32)
    return found


def _side(encoder_id: str) -> str:
    return f"questions:{encoder_id}"
