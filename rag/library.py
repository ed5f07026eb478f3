"""The library: documents and their passages in SQL, changed one whole document at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, Select, delete, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from rag.database import documents, passages, reading, state, vectors
from rag.errors import NotFoundError
from rag.records import Document, Passage, now

SQL_BATCH = 500  # SQLite takes 32,766 variables a statement; a few hundred rows are as fast

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


@dataclass(frozen=True, slots=True)
class Source:
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
        with reading(self.engine) as connection:
            return int(connection.scalar(select(state.c.value).where(state.c.name == "library_revision")) or 0)

    def n_passages(self) -> int:
        """How many passages there are."""
        with reading(self.engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(passages)) or 0)

    def sources(self) -> list[Source]:
        """Every document, by source."""
        counts = select(passages.c.document_id, func.count().label("n")).group_by(passages.c.document_id).subquery()
        query = (
            select(documents.c.document_id, documents.c.source, documents.c.title, documents.c.media_type,
                   func.coalesce(counts.c.n, 0), func.length(documents.c.text), documents.c.added_at)
            .join(counts, counts.c.document_id == documents.c.document_id, isouter=True)
            .order_by(documents.c.source)
        )  # fmt: skip
        with reading(self.engine) as connection:
            return [Source(*row) for row in connection.execute(query)]

    def hashes(self) -> dict[str, str]:
        """The sha256 of the bytes of every source."""
        with reading(self.engine) as connection:
            return {row.source: row.sha256 for row in connection.execute(select(documents.c.source, documents.c.sha256))}

    def document(self, document_id: str) -> Document:
        """One document with its stored text.

        Raises:
            NotFoundError: there is none with this id.
        """
        columns = [documents.c[name] for name in Document.__dataclass_fields__]
        with reading(self.engine) as connection:
            row = connection.execute(select(*columns).where(documents.c.document_id == document_id)).first()
        if row is None:
            raise NotFoundError(f'no document {document_id!r} in the library: "nightjar sources" lists what there is')
        return Document(*row)

    def passages(self) -> list[Passage]:
        """Every passage, in the library's one order: by passage id."""
        return list(self.iterate())

    def iterate(self) -> Iterator[Passage]:
        """Every passage, by passage id, without holding them all."""
        with reading(self.engine) as connection:
            for row in connection.execute(_select_passages().order_by(passages.c.passage_id)):
                yield Passage(*row)

    def get(self, passage_ids: Sequence[str]) -> dict[str, Passage]:
        """The passages with these ids; absent ones are left out."""
        found: dict[str, Passage] = {}
        with reading(self.engine) as connection:
            for some in chunks(passage_ids, SQL_BATCH):
                for row in connection.execute(_select_passages().where(passages.c.passage_id.in_(some))):
                    found[row[0]] = Passage(*row)
        return found

    def resolve(self, ids: Iterable[str]) -> dict[str, str]:
        """Maps each id, ours or BEIR's, to the passage id it names; unknown ones are left out."""
        resolved: dict[str, str] = {}
        columns = (passages.c.passage_id, passages.c.external_id)
        with reading(self.engine) as connection:
            for some in chunks(list(ids), SQL_BATCH):
                named = or_(passages.c.passage_id.in_(some), passages.c.external_id.in_(some))
                for row in connection.execute(select(*columns).where(named)):
                    resolved[row.external_id if row.external_id in some else row.passage_id] = row.passage_id
        return resolved

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
            for document, new in batch:
                n_new += _put(connection, document, new)
            _bump_revision(connection)
        return n_new

    def remove(self, source: str) -> int:
        """Removes a source, or everything below it where it names a folder; returns how many documents went.

        Vectors that no passage uses any more go too. Verdicts stay as events, and count no longer.

        Raises:
            NotFoundError: nothing has this source.
        """
        below = source.rstrip("/") + "/"
        named = or_(documents.c.source == source, documents.c.source.startswith(below, autoescape=True))
        with self.engine.begin() as connection:
            ids = list(connection.scalars(select(documents.c.document_id).where(named)))
            if not ids:
                raise NotFoundError(f'no source {source!r} in the library: "nightjar sources" lists what there is')
            for some in chunks(ids, SQL_BATCH):
                connection.execute(delete(passages).where(passages.c.document_id.in_(some)))
                connection.execute(delete(documents).where(documents.c.document_id.in_(some)))
            connection.execute(delete(vectors).where(vectors.c.text_sha256.not_in(select(passages.c.text_sha256))))
            _bump_revision(connection)
        return len(ids)


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Consecutive pieces of at most *size* items.

    >>> list(chunks("abcde", 2))
    ['ab', 'cd', 'e']
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _select_passages() -> Select[Any]:
    return select(*_PASSAGE_COLUMNS).join(documents, documents.c.document_id == passages.c.document_id)


def _put(connection: Connection, document: Document, new: Sequence[Passage]) -> int:
    fields = {name: getattr(document, name) for name in Document.__dataclass_fields__}
    known = connection.execute(select(documents.c.document_id).where(documents.c.source == document.source)).first()
    kept = _clear(connection, known, document, new) if known is not None else set()
    if known is None:
        connection.execute(insert(documents).values(**fields, added_at=now().isoformat()))
    else:
        connection.execute(update(documents).where(documents.c.source == document.source).values(**fields))
    rows = [_passage_row(passage, ordinal) for ordinal, passage in enumerate(new) if passage.passage_id not in kept]
    if rows:
        connection.execute(insert(passages), rows)
    return len(rows)


def _clear(connection: Connection, known: Row[Any], document: Document, new: Sequence[Passage]) -> set[str]:
    """Deletes what the document no longer has, moves what it still has, and returns the ids of the latter."""
    old = set(connection.scalars(select(passages.c.passage_id).where(passages.c.document_id == known.document_id)))
    kept = {passage.passage_id for passage in new} & old
    for some in chunks(sorted(old - kept), SQL_BATCH):
        connection.execute(delete(passages).where(passages.c.passage_id.in_(some)))
    for ordinal, passage in enumerate(new):
        if passage.passage_id in kept:
            row = _passage_row(passage, ordinal)
            connection.execute(update(passages).where(passages.c.passage_id == passage.passage_id).values(**row))
    return kept


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


def _bump_revision(connection: Connection) -> None:
    found = connection.scalar(select(state.c.value).where(state.c.name == "library_revision"))
    if found is None:
        connection.execute(insert(state).values(name="library_revision", value="1"))
    else:
        connection.execute(update(state).where(state.c.name == "library_revision").values(value=str(int(found) + 1)))
