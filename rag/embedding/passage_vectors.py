"""Passage vectors in SQL: one per passage side and encoded text, filled once, read as a matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sqlalchemy import Engine, Select, delete, func, insert, select

from rag.arrays import FloatArray
from rag.database.schema import passages, read_connection, vectors
from rag.database.sql_batches import SQL_BATCH, batched
from rag.embedding.protocols import PassageEncoder
from rag.errors import EncoderError
from rag.library.library import Library

FILL_BATCH = 512  # passages between two commits: what a kill can cost, about ten seconds of encoding


class PassageVectors:
    """The vectors of one passage side."""

    def __init__(self, engine: Engine, passage_side: str) -> None:
        self.engine = engine
        self.passage_side = passage_side

    def missing(self) -> int:
        """How many distinct texts have no vector yet."""
        with read_connection(self.engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(self._missing_query().subquery())) or 0)

    def fill(self, encoder: PassageEncoder, progress: Callable[[int], None] = lambda n: None) -> int:
        """Encodes what has no vector, commits every FILL_BATCH texts, and returns how many were encoded.

        Killed at any moment it goes on where it stopped. *progress* gets the number of texts just done.

        Texts go longest first, so that batches hold texts of one length and the pace only ever improves.

        Raises:
            EncoderError: the encoder is of another passage side.
        """
        if encoder.passage_side != self.passage_side:
            raise EncoderError(
                f"encoder of passage side {encoder.passage_side!r} can't fill the vectors of "
                f"{self.passage_side!r}: open the version that these vectors belong to"
            )
        with read_connection(self.engine) as connection:
            todo = {row[0]: row[1] for row in connection.execute(self._missing_query())}
        n_encoded = 0
        for batch in batched(self._longest_first(todo), FILL_BATCH):
            texts = self._texts({text_sha256: todo[text_sha256] for text_sha256 in batch})
            if texts:
                self.keep(list(texts), encoder.encode_passages(list(texts.values())))
            n_encoded += len(texts)
            progress(len(batch))
        return n_encoded

    def keep(self, text_sha256s: Sequence[str], encoded: FloatArray) -> None:
        """Stores the rows of *encoded*, `(n, dim)`: a document that went while it was encoded leaves no vector."""
        store_vectors(self.engine, self.passage_side, text_sha256s, encoded, only_used=True)

    def texts_without_vector(self, texts: dict[str, str]) -> dict[str, str]:
        """Returns the texts, by hash, that have no vector yet."""
        have: set[str] = set()
        with read_connection(self.engine) as connection:
            for batch in batched(list(texts), SQL_BATCH):
                have.update(connection.scalars(self._having(batch)))
        return {name: text for name, text in texts.items() if name not in have}

    def _having(self, text_sha256s: Sequence[str]) -> Select[str]:
        named = (vectors.c.passage_side == self.passage_side) & vectors.c.text_sha256.in_(text_sha256s)
        return select(vectors.c.text_sha256).where(named)

    def matrix(self) -> tuple[list[str], FloatArray]:
        """Passage ids in the library's order, and their vectors, `(n, dim)` float32, rows of unit length.

        Passages without a vector are left out.
        """
        query = (
            select(passages.c.passage_id, vectors.c.vector)
            .join(vectors, vectors.c.text_sha256 == passages.c.text_sha256)
            .where(vectors.c.passage_side == self.passage_side)
            .order_by(passages.c.passage_id)
        )
        with read_connection(self.engine) as connection:
            rows = connection.execute(query).all()
        ids = [row.passage_id for row in rows]
        if not ids:
            return [], np.zeros((0, 0), np.float32)
        return ids, np.frombuffer(b"".join(row.vector for row in rows), np.float32).reshape(len(ids), -1)

    def rows(self, passage_ids: Sequence[str]) -> dict[str, FloatArray]:
        """The vectors of some passages, each `(dim,)`; passages without one are left out."""
        # Two statements, not a join: for a hundred passages SQLite walks through every vector of the side instead of looking
        # these up (of 100,000: 145 ms, and 1 ms so).
        of_text: dict[str, FloatArray] = {}
        texts: dict[str, str] = {}
        with read_connection(self.engine) as connection:
            for batch in batched(passage_ids, SQL_BATCH):
                named = select(passages.c.passage_id, passages.c.text_sha256).where(passages.c.passage_id.in_(batch))
                texts |= {row.passage_id: row.text_sha256 for row in connection.execute(named)}
            for batch in batched(list(set(texts.values())), SQL_BATCH):
                wanted = vectors.c.text_sha256.in_(batch) & (vectors.c.passage_side == self.passage_side)
                for row in connection.execute(select(vectors.c.text_sha256, vectors.c.vector).where(wanted)):
                    of_text[row.text_sha256] = np.frombuffer(row.vector, np.float32)
        return {passage_id: of_text[text] for passage_id, text in texts.items() if text in of_text}

    def drop(self) -> None:
        """Forgets every vector of this side; they can be encoded again."""
        with self.engine.begin() as connection:
            connection.execute(delete(vectors).where(vectors.c.passage_side == self.passage_side))

    def _missing_query(self) -> Select[str, str]:
        """(text_sha256, one passage that has it) for every text without a vector."""
        have = select(vectors.c.text_sha256).where(vectors.c.passage_side == self.passage_side)
        return (
            select(passages.c.text_sha256, func.min(passages.c.passage_id))
            .where(passages.c.text_sha256.not_in(have))
            .group_by(passages.c.text_sha256)
        )

    def _longest_first(self, todo: dict[str, str]) -> list[str]:
        length = func.length(passages.c.text) + func.length(passages.c.title) + func.length(passages.c.heading)
        lengths: dict[str, int] = {}
        with read_connection(self.engine) as connection:
            for batch in batched(list(todo.values()), SQL_BATCH):
                query = select(passages.c.text_sha256, length).where(passages.c.passage_id.in_(batch))
                lengths |= {row[0]: row[1] for row in connection.execute(query)}
        return sorted(lengths, key=lambda text_sha256: (-lengths[text_sha256], text_sha256))

    def _texts(self, todo: dict[str, str]) -> dict[str, str]:
        """The texts to be encoded, by hash, without those of passages that were changed or removed meanwhile.

        By the hash that is stored: an earlier Nightjar may have encoded longer headings of the same passage.
        """
        found = Library(self.engine).get(list(todo.values()))
        query = select(passages.c.passage_id, passages.c.text_sha256).where(passages.c.passage_id.in_(todo.values()))
        with read_connection(self.engine) as connection:
            stored = {row.passage_id: row.text_sha256 for row in connection.execute(query)}
        return {
            text_sha256: found[passage_id].encoded_text
            for text_sha256, passage_id in todo.items()
            if passage_id in found and stored.get(passage_id) == text_sha256
        }


def store_vectors(
    engine: Engine, passage_side: str, text_sha256s: Sequence[str], encoded: FloatArray, *, only_used: bool = False
) -> None:
    """Keeps the rows of *encoded*, `(n, dim)`, under the hashes of their texts; *only_used*: of those that passages have.

    Another process may have encoded the same text meanwhile; the first one counts.
    """
    rows = [
        {"passage_side": passage_side, "text_sha256": name, "vector": vector.astype("<f4").tobytes()}
        for name, vector in zip(text_sha256s, encoded, strict=True)
    ]
    with engine.begin() as connection:
        have: set[str] = set()
        used: set[str] = set()
        for batch in batched(text_sha256s, SQL_BATCH):
            named = (vectors.c.passage_side == passage_side) & vectors.c.text_sha256.in_(batch)
            have.update(connection.scalars(select(vectors.c.text_sha256).where(named)))
            used.update(connection.scalars(select(passages.c.text_sha256).where(passages.c.text_sha256.in_(batch))))
        wanted = used - have if only_used else set(text_sha256s) - have
        fresh = [row for row in rows if row["text_sha256"] in wanted]
        if fresh:
            connection.execute(insert(vectors), fresh)
