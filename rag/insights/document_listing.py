"""What the library holds, a page at a time: SQL finds, sorts and counts, so that no list of all documents is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Engine, Select, exists, func, or_, select
from sqlalchemy.engine import Connection

from rag.database.schema import documents, job_files, jobs, passages, read_connection, vectors
from rag.errors import NotFoundError, UsageError
from rag.feedback.passage_tallies import (
    PassageTally,
    load_tallies,
    select_citation_counts,
    select_standing_verdicts,
    select_verdict_counts,
)
from rag.library.reread import REREAD_SHA256
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import Passage

DocumentState = Literal["indexed", "encoding", "replaced"]
"""Found by searches; found once its passages are encoded; as it was, until the next ingest has read it again."""
DocumentStateFilter = Literal["", "outdated", "encoding", "replaced"]
"""Which documents are listed: all, those that somebody called outdated, or those in a state."""
DocumentSort = Literal[
    "source", "title", "type", "passages", "size", "added", "helpful", "not_relevant", "outdated", "cited"
]
DOCUMENT_STATE_FILTERS: tuple[str, ...] = get_args(DocumentStateFilter)
DOCUMENT_SORTS: tuple[str, ...] = get_args(DocumentSort)

_COLUMNS = {
    "source": documents.c.source,
    "title": documents.c.title,
    "type": documents.c.media_type,
    "size": func.length(documents.c.text),
    "added": documents.c.added_at,
}
_JUDGED = ("helpful", "not_relevant", "outdated")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDocument:
    """A document as the catalogue lists it."""

    document_id: str
    source: str
    title: str
    media_type: str
    n_passages: int
    n_characters: int
    added_at: str
    state: DocumentState
    tally: PassageTally


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """Which documents, in which order.

    Raises:
        UsageError: the order or the choice is unknown.
    """

    match: str = ""
    """Stands in the source or the title, in capital or small letters."""
    sort: str = "source"
    """One of SORTS; with a minus before it, the largest or latest first."""
    only: str = ""
    """One of ONLY."""

    def __post_init__(self) -> None:
        """Checks what comes from outside."""
        if self.sort.removeprefix("-") not in DOCUMENT_SORTS:
            raise UsageError(
                f"documents can't be sorted by {self.sort!r}: use one of {', '.join(DOCUMENT_SORTS)}, or -{DOCUMENT_SORTS[0]}"
            )
        if self.only not in DOCUMENT_STATE_FILTERS:
            raise UsageError(
                f"documents can't be narrowed to {self.only!r}: use one of {', '.join(DOCUMENT_STATE_FILTERS[1:])}"
            )


class DocumentListing:
    """Documents as people look them over. Reads only; *passage_side* names the vectors that searches use."""

    def __init__(self, engine: Engine, passage_side: str) -> None:
        self.engine = engine
        self._passage_side = passage_side

    def page(self, query: DocumentQuery, limit: int, offset: int = 0) -> tuple[list[ListedDocument], int]:
        """Up to *limit* documents from the *offset*-th on, and how many there are of the wanted ones in all."""
        of_these = self._narrowed(select(documents.c.document_id), query)
        with read_connection(self.engine) as connection:
            n = int(connection.scalar(select(func.count()).select_from(of_these.subquery())) or 0)
            ids = connection.scalars(_sorted(of_these, query.sort).limit(limit).offset(offset)).all()
            return self._listed(connection, ids), n

    def get(self, document_id: str) -> ListedDocument:
        """One document.

        Raises:
            NotFoundError: there is none with this id.
        """
        with read_connection(self.engine) as connection:
            found = self._listed(connection, [replace_unstorable(document_id)])
        if not found:
            raise NotFoundError(f'no document {document_id!r} in the library: "nightjar sources" lists what there is')
        return found[0]

    def passages(self, document_id: str, limit: int, offset: int = 0) -> list[tuple[Passage, PassageTally]]:
        """Some passages of a document, in reading order, and what became of each."""
        columns = [passages.c[name] for name in Passage.__dataclass_fields__ if name != "source"]
        query = select(documents.c.source, *columns).join(documents, documents.c.document_id == passages.c.document_id)
        query = query.where(passages.c.document_id == replace_unstorable(document_id)).order_by(
            passages.c.start, passages.c.ordinal
        )
        with read_connection(self.engine) as connection:
            rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
            found = [Passage(**row) for row in rows]
            counted = load_tallies(connection, passages.c.passage_id, [row.passage_id for row in found])
        return [(row, counted.get(row.passage_id, PassageTally())) for row in found]

    def place(self, document_id: str, passage_id: str) -> int:
        """How many passages of the document are before this one; 0 if it is none of them."""
        of_it = passages.c.document_id == replace_unstorable(document_id)
        start = (
            select(passages.c.start)
            .where(of_it, passages.c.passage_id == replace_unstorable(passage_id))
            .scalar_subquery()
        )
        with read_connection(self.engine) as connection:
            return int(connection.scalar(select(func.count()).where(of_it, passages.c.start < start)) or 0)

    def users_who_call_outdated(self, document_id: str) -> dict[str, int]:
        """Who calls passages of the document outdated → how often, the most frequent first."""
        said = select_standing_verdicts(
            select(passages.c.passage_id).where(passages.c.document_id == replace_unstorable(document_id))
        )
        n = func.count()
        query = select(said.c.user, n).where(said.c.verdict == "outdated").group_by(said.c.user)
        with read_connection(self.engine) as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(query.order_by(n.desc(), said.c.user))}

    def _narrowed(self, query: Select[Any], wanted: DocumentQuery) -> Select[Any]:
        if wanted.match:
            query = query.where(_holding(replace_unstorable(wanted.match)))
        if wanted.only == "outdated":
            said = select_verdict_counts(passages.c.document_id)
            return query.where(documents.c.document_id.in_(select(said.c.key).where(said.c.outdated > 0)))
        if wanted.only == "encoding":
            return query.where(documents.c.document_id.in_(select(passages.c.document_id).where(self._has_no_vector())))
        return query.where(_is_replaced()) if wanted.only == "replaced" else query

    def _has_no_vector(self) -> ColumnElement[bool]:
        of_it = (vectors.c.passage_side == self._passage_side) & (vectors.c.text_sha256 == passages.c.text_sha256)
        return ~exists().where(of_it)

    def _listed(self, connection: Connection, ids: Sequence[str]) -> list[ListedDocument]:
        """Returns the rows of a page's documents, in the order of their *ids*, without those that are gone."""
        of_these = passages.c.document_id.in_(ids)
        counts = select(passages.c.document_id, func.count()).where(of_these).group_by(passages.c.document_id)
        n_passages: dict[str, int] = {row[0]: row[1] for row in connection.execute(counts)}
        bare = set(connection.scalars(select(passages.c.document_id).where(of_these, self._has_no_vector()).distinct()))
        counted = load_tallies(connection, passages.c.document_id, ids)
        columns = [documents.c[name] for name in ("document_id", "source", "title", "media_type", "added_at")]
        query = select(*columns, func.length(documents.c.text).label("n_characters"), _is_replaced().label("replaced"))
        rows = {
            row["document_id"]: dict(row)
            for row in connection.execute(query.where(documents.c.document_id.in_(ids))).mappings()
        }
        found = []
        for document_id in (document_id for document_id in ids if document_id in rows):
            state: DocumentState = (
                "replaced" if rows[document_id].pop("replaced") else "encoding" if document_id in bare else "indexed"
            )
            found.append(
                ListedDocument(
                    **rows[document_id],
                    n_passages=n_passages.get(document_id, 0),
                    state=state,
                    tally=counted.get(document_id, PassageTally()),
                )
            )
        return found


def _sorted(query: Select[Any], sort: str) -> Select[Any]:
    """In the wanted order; documents that are equal in it are by source."""
    key = sort.removeprefix("-")
    counted = _counted(key)
    by: Any = _COLUMNS.get(key)
    if counted is not None:
        query = query.join(counted, counted.c.key == documents.c.document_id, isouter=True)
        by = func.coalesce(counted.c[key], 0)
    return query.order_by(by.desc() if sort.startswith("-") else by.asc(), documents.c.source)


def _counted(key: str) -> Any:
    """A count that is no column of the documents, as a subquery with the columns "key" and *key*; else None."""
    of_document = passages.c.document_id
    if key == "passages":
        return select(of_document.label("key"), func.count().label(key)).group_by(of_document).subquery("cut")
    return (
        select_verdict_counts(of_document)
        if key in _JUDGED
        else select_citation_counts(of_document)
        if key == "cited"
        else None
    )


def _holding(match: str) -> ColumnElement[bool]:
    """Whether source or title hold the text. SQLite knows small letters of ASCII only, so some spellings are asked for."""
    spellings = dict.fromkeys([match, match.lower(), match.upper(), match.title()])
    columns = (documents.c.source, documents.c.title)
    return or_(*(column.icontains(spelling, autoescape=True) for column in columns for spelling in spellings))


def _is_replaced() -> ColumnElement[bool]:
    """Whether the document is to be read again, or is being read."""
    read = select(job_files.c.source).join(jobs, jobs.c.job_id == job_files.c.job_id)
    read = read.where(jobs.c.state == "running", job_files.c.stage.in_(("reading", "splitting")))
    return (documents.c.sha256 == REREAD_SHA256) | documents.c.source.in_(read)
