"""The library: documents and their passages in SQL, changed one whole document at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, func, or_, select
from sqlalchemy.engine import Connection

from rag.database.schema import app_state, documents, passages, read_connection
from rag.database.sql_batches import SQL_BATCH, batched
from rag.errors import NotFoundError
from rag.library.write_documents import BeforeDelete, bump_revision, delete_documents, put_documents
from rag.records import Document, Passage

_PASSAGE_COLUMNS = (
    passages.c.passage_id,
    passages.c.document_id,
    documents.c.source,
    passages.c.title,
    passages.c.heading,
    passages.c.text,
    passages.c.start,
    passages.c.end,
    passages.c.page,
    passages.c.external_id,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """A document as it is listed: everything but its text."""

    document_id: str
    source: str
    title: str
    media_type: str
    n_passages: int
    n_characters: int
    added_at: str


class Library:
    """Documents and passages. Reads see whole documents only; every change raises `revision()`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    # ---- reading

    def revision(self) -> int:
        """A number that grows with every change of documents or passages."""
        return self._counter("library_revision")

    def text_hashes(self) -> dict[str, str]:
        """passage id → sha256 of its encoded text, in the library's one order: by passage id."""
        query = select(passages.c.passage_id, passages.c.text_sha256).order_by(passages.c.passage_id)
        with read_connection(self.engine) as connection:
            return {row.passage_id: row.text_sha256 for row in connection.execute(query)}

    def vectors_revision(self) -> int:
        """A number that grows when vectors of passages have arrived."""
        return self._counter("vectors_revision")

    def _counter(self, name: str) -> int:
        with read_connection(self.engine) as connection:
            return int(connection.scalar(select(app_state.c.value).where(app_state.c.name == name)) or 0)

    def n_passages(self) -> int:
        """How many passages there are."""
        with read_connection(self.engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(passages)) or 0)

    def sources(self) -> list[SourceSummary]:
        """Every document, by source."""
        counts = select(passages.c.document_id, func.count().label("n")).group_by(passages.c.document_id).subquery()
        query = (
            select(
                documents.c.document_id,
                documents.c.source,
                documents.c.title,
                documents.c.media_type,
                func.coalesce(counts.c.n, 0).label("n_passages"),
                func.length(documents.c.text).label("n_characters"),
                documents.c.added_at,
            )
            .join(counts, counts.c.document_id == documents.c.document_id, isouter=True)
            .order_by(documents.c.source)
        )
        with read_connection(self.engine) as connection:
            return [SourceSummary(**row._mapping) for row in connection.execute(query)]

    def file_hashes(self) -> dict[str, str]:
        """The sha256 of the bytes of every source; empty if it is to be read again."""
        with read_connection(self.engine) as connection:
            rows = connection.execute(select(documents.c.source, documents.c.sha256))
            return {row.source: row.sha256 for row in rows}

    def document(self, document_id: str) -> Document:
        """One document with its stored text.

        Raises:
            NotFoundError: there is none with this id.
        """
        columns = [documents.c[name] for name in Document.__dataclass_fields__]
        with read_connection(self.engine) as connection:
            row = connection.execute(select(*columns).where(documents.c.document_id == document_id)).first()
        if row is None:
            raise NotFoundError(f'no document {document_id!r} in the library: "nightjar sources" lists what there is')
        return Document(**row._mapping)

    def passages(self) -> list[Passage]:
        """Every passage, in the library's one order: by passage id."""
        return list(self.iterate_passages())

    def iterate_passages(self) -> Iterator[Passage]:
        """Every passage, by passage id, without holding them all."""
        with read_connection(self.engine) as connection:
            for row in connection.execute(_select_passages().order_by(passages.c.passage_id)):
                yield Passage(**row._mapping)

    def iterate_by_ids(self, passage_ids: Sequence[str]) -> Iterator[Passage]:
        """The passages with these ids, in no order, without holding them all; absent ones are left out."""
        for few in batched(passage_ids, SQL_BATCH):
            yield from self.get(few).values()

    def get(self, passage_ids: Sequence[str]) -> dict[str, Passage]:
        """The passages with these ids; absent ones are left out."""
        found: dict[str, Passage] = {}
        with read_connection(self.engine) as connection:
            for batch in batched(passage_ids, SQL_BATCH):
                for row in connection.execute(_select_passages().where(passages.c.passage_id.in_(batch))):
                    found[row[0]] = Passage(**row._mapping)
        return found

    def resolve(self, ids: Iterable[str]) -> dict[str, str]:
        """Maps each id to the passage id it names: ours, BEIR's, or `dataset/BEIR's`; unknown ones are left out.

        So is a BEIR id that several datasets use: there the dataset must be said.
        """
        found: dict[str, set[str]] = {}
        columns = (passages.c.passage_id, passages.c.external_id, documents.c.source)
        query = select(*columns).join(documents, documents.c.document_id == passages.c.document_id)
        with read_connection(self.engine) as connection:
            for batch in batched(list(ids), SQL_BATCH):
                of_beir = passages.c.external_id.is_not(None) & documents.c.source.in_(batch)
                for named in (passages.c.passage_id.in_(batch), passages.c.external_id.in_(batch), of_beir):
                    for row in connection.execute(query.where(named)):
                        names = {row.passage_id, *([row.external_id, row.source] if row.external_id else [])}
                        for name in names.intersection(batch):
                            found.setdefault(name, set()).add(row.passage_id)
        return {name: min(passage_ids) for name, passage_ids in found.items() if len(passage_ids) == 1}

    # ---- changing

    def put(self, document: Document, new: Sequence[Passage]) -> int:
        """Stores a document in place of the one with the same source; returns how many passages are new.

        Passages whose id is there already keep their row; those that are no longer in the document go.
        """
        return self.put_all([(document, new)])

    def put_all(self, batch: Iterable[tuple[Document, Sequence[Passage]]]) -> int:
        """Stores several documents in one transaction; returns how many passages are new."""
        n_new = 0
        with self.engine.begin() as connection:
            for part in batched(list(batch), SQL_BATCH):
                n_new += put_documents(connection, part)
            bump_revision(connection, "library_revision")
        return n_new

    def bump_vectors_revision(self) -> None:
        """Raises `vectors_revision()`, so that an application that serves takes them in."""
        with self.engine.begin() as connection:
            bump_revision(connection, "vectors_revision")

    def remove(self, source: str, before_delete: BeforeDelete = lambda c, ids: None) -> int:
        """Removes a source, or everything below it if it names a folder; returns how many documents went.

        Vectors that no passage uses any more go too. Verdicts stay as events, and count no longer. *before_delete* does, in the
        same transaction, what belongs to the removal; it gets the ids of the passages before they go.

        Raises:
            NotFoundError: nothing has this source.
        """
        with self.engine.begin() as connection:
            ids = self.below(connection, source)
            delete_documents(connection, ids, before_delete)
        return len(ids)

    def below(self, connection: Connection, source: str) -> list[str]:
        """The ids of the document with this source, or of all below it if it names a folder.

        Raises:
            NotFoundError: nothing has this source.
        """
        below = f"{source.rstrip('/')}/" if source else "\0"  # nothing is not the root folder
        # Not LIKE: in SQLite it takes capital and small letters for the same, and Notes/ is another folder than notes/.
        named = or_(documents.c.source == source, func.substr(documents.c.source, 1, len(below)) == below)
        ids = list(connection.scalars(select(documents.c.document_id).where(named)))
        if not ids:
            raise NotFoundError(f'no source {source!r} in the library: "nightjar sources" lists what there is')
        return ids

    def remove_all(self, sources: Sequence[str], before_delete: BeforeDelete = lambda c, ids: None) -> int:
        """Removes several sources and nothing below them; unknown ones are ignored."""
        with self.engine.begin() as connection:
            found = (
                select(documents.c.document_id).where(documents.c.source.in_(batch))
                for batch in batched(sources, SQL_BATCH)
            )
            ids = [document_id for query in found for document_id in connection.scalars(query)]
            if ids:
                delete_documents(connection, ids, before_delete)
        return len(ids)


def _select_passages() -> Select[Any]:
    return select(*_PASSAGE_COLUMNS).join(documents, documents.c.document_id == passages.c.document_id)
