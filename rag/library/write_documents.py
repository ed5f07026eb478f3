"""Whole documents into SQL, in place of those with their source, and out: within somebody's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from rag.database.schema import app_state, documents, passages, vectors
from rag.database.sql_batches import SQL_BATCH, batched
from rag.records import Document, Passage, utc_now

BeforeDelete = Callable[[Connection, Sequence[str]], None]
"""What belongs to a removal; gets the ids of the passages before they go."""


def put_documents(connection: Connection, some: Sequence[tuple[Document, Sequence[Passage]]]) -> int:
    """Stores documents, at most `SQL_BATCH` of them, each in place of the one with its source; returns how many passages are new.

    Those whose source is new go in by two statements for all of them; the others one by one.
    """
    sources = [document.source for document, _ in some]
    seen = set(connection.scalars(select(documents.c.source).where(documents.c.source.in_(sources))))
    fresh: list[tuple[Document, Sequence[Passage]]] = []
    others: list[tuple[Document, Sequence[Passage]]] = []
    for document, new in some:
        (others if document.source in seen else fresh).append((document, new))
        seen.add(document.source)
    rows = [_passage_row(passage, ordinal) for _, new in fresh for ordinal, passage in enumerate(new)]
    if fresh:
        added_at = utc_now().isoformat()
        connection.execute(insert(documents), [_document_row(document, added_at) for document, _ in fresh])
    if rows:
        connection.execute(insert(passages), rows)
    n_new = len(rows)
    for document, new in others:
        n_new += _replace(connection, document, new)
    return n_new


def _replace(connection: Connection, document: Document, new: Sequence[Passage]) -> int:
    """Puts a document in place of the one with its source; returns how many of its passages are new."""
    rows = {passage.passage_id: _passage_row(passage, ordinal) for ordinal, passage in enumerate(new)}
    there = select(passages.c.passage_id, passages.c.text_sha256).join(
        documents, documents.c.document_id == passages.c.document_id
    )
    found = connection.execute(there.where(documents.c.source == document.source))
    old = {row.passage_id: row.text_sha256 for row in found}
    for batch in batched(sorted(old.keys() - rows.keys()), SQL_BATCH):
        connection.execute(delete(passages).where(passages.c.passage_id.in_(batch)))
    fields = {name: getattr(document, name) for name in Document.__dataclass_fields__}
    connection.execute(update(documents).where(documents.c.source == document.source).values(**fields))
    kept = [row | {"kept_id": passage_id} for passage_id, row in rows.items() if passage_id in old]
    if kept:
        connection.execute(update(passages).where(passages.c.passage_id == bindparam("kept_id")), kept)
    fresh = [row for passage_id, row in rows.items() if passage_id not in old]
    if fresh:
        connection.execute(insert(passages), fresh)
    _forget_vectors(connection, set(old.values()) - {str(row["text_sha256"]) for row in rows.values()})
    return len(fresh)


def delete_documents(connection: Connection, document_ids: Sequence[str], also: BeforeDelete) -> None:
    """Takes documents out, with their passages and the vectors that no passage uses any more."""
    for batch in batched(document_ids, SQL_BATCH):
        of_these = passages.c.document_id.in_(batch)
        also(connection, list(connection.scalars(select(passages.c.passage_id).where(of_these))))
        connection.execute(delete(passages).where(of_these))
        connection.execute(delete(documents).where(documents.c.document_id.in_(batch)))
    unused = vectors.c.text_sha256.not_in(select(passages.c.text_sha256))
    connection.execute(delete(vectors).where(unused, vectors.c.passage_side.not_like("questions:%")))
    bump_revision(connection, "library_revision")


def _forget_vectors(connection: Connection, text_sha256s: set[str]) -> None:
    """Deletes the vectors of texts that no passage has any more: what a person takes out is gone."""
    used = select(passages.c.text_sha256)
    for batch in batched(sorted(text_sha256s), SQL_BATCH):
        unused = vectors.c.text_sha256.in_(batch) & vectors.c.text_sha256.not_in(used)
        connection.execute(delete(vectors).where(unused, vectors.c.passage_side.not_like("questions:%")))


def bump_revision(connection: Connection, name: str) -> None:
    """Adds one to the counter of this name, which begins at 1."""
    found = connection.scalar(select(app_state.c.value).where(app_state.c.name == name).with_for_update())
    if found is None:
        connection.execute(insert(app_state).values(name=name, value="1"))
    else:
        connection.execute(update(app_state).where(app_state.c.name == name).values(value=str(int(found) + 1)))


def _document_row(document: Document, added_at: str) -> dict[str, str]:
    return {**{name: getattr(document, name) for name in Document.__dataclass_fields__}, "added_at": added_at}


def _passage_row(passage: Passage, ordinal: int) -> dict[str, object]:
    return {
        "passage_id": passage.passage_id,
        "document_id": passage.document_id,
        "ordinal": ordinal,
        "title": passage.title,
        "heading": passage.heading,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "page": passage.page,
        "external_id": passage.external_id,
        "text_sha256": passage.text_sha256,
    }
