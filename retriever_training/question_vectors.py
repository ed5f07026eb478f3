"""Vectors of questions by the immutable base, kept in SQL: every night asks the same ones, and encodes only the new."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, insert, select

from rag.database import reading, vectors
from rag.encoder import Encoder
from rag.library import SQL_BATCH, chunks
from rag.records import sha256_of

FloatArray = NDArray[np.float32]
ENCODE_BATCH = 1024  # questions between two commits


def question_vectors(
    engine: Engine, encoder: Encoder, questions: Sequence[str], progress: Callable[[int], None] = lambda n: None
) -> FloatArray:
    """`(q, dim)` float32, unit rows, in the order of *questions*; what is new is encoded and kept."""
    side = f"questions:{encoder.encoder_id}"
    hashes = [sha256_of(question) for question in questions]
    known = _load(engine, side, sorted(set(hashes)))
    progress(sum(one in known for one in hashes))
    texts = dict(zip(hashes, questions, strict=True))
    for some in chunks([one for one in texts if one not in known], ENCODE_BATCH):
        encoded = encoder.encode_queries([texts[one] for one in some])
        _store(engine, side, some, encoded)
        known.update(zip(some, encoded, strict=True))
        progress(len(some))
    return np.stack([known[one] for one in hashes]) if hashes else np.zeros((0, encoder.dim), np.float32)


def _load(engine: Engine, side: str, hashes: Sequence[str]) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    with reading(engine) as connection:
        for some in chunks(hashes, SQL_BATCH):
            query = select(vectors.c.text_sha256, vectors.c.vector).where(
                vectors.c.passage_side == side, vectors.c.text_sha256.in_(list(some))
            )
            for row in connection.execute(query):
                found[row.text_sha256] = np.frombuffer(row.vector, np.float32)
    return found


def _store(engine: Engine, side: str, hashes: Sequence[str], encoded: FloatArray) -> None:
    rows = [
        {"passage_side": side, "text_sha256": one, "vector": vector.astype("<f4").tobytes()}
        for one, vector in zip(hashes, encoded, strict=True)
    ]
    with engine.begin() as connection:
        connection.execute(insert(vectors), rows)
