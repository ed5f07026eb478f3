"""Takes documents out, with all that hangs on them, and says which retriever versions learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.engine import Connection

from rag.database.schema import documents, passages, read_connection, verdict_events
from rag.database.sql_batches import SQL_BATCH, batched
from rag.database.user_tables import reviews
from rag.feedback.feedback_store import WITHDRAWN_VERDICT, FeedbackStore
from rag.feedback.same_day_boosts import last_learned_event
from rag.ingestion.find_files import FoundFiles, find_vanished
from rag.library.library import Library
from rag.records import utc_now
from rag.versions.registry import VersionRegistry


@dataclass(frozen=True, slots=True)
class RemovalCounts:
    """What went."""

    n_documents: int
    n_passages: int
    n_verdicts: int
    """Standing verdicts on these passages, which were withdrawn; that they were given stays on record."""
    was_trained_on: tuple[str, ...]
    """Versions, oldest first, whose training had one of the passages as a right answer or a verdict on one. They go on
    answering; the next night starts from the base, without the documents."""


class DocumentRemoval:
    """Removes documents with passages, vectors and the verdicts that are on them.

    What serves takes them out of BM25 and of its index at its next look at the library.
    """

    def __init__(self, library: Library, registry: VersionRegistry, feedback: FeedbackStore) -> None:
        self._library = library
        self._registry = registry
        self._feedback = feedback

    def below(self, source: str) -> RemovalCounts:
        """Removes a source, or all below a folder.

        Raises:
            NotFoundError: nothing has this source.
        """
        gone = _Gone()
        return self._removed(gone, self._library.remove(source, gone.also))

    def remove_sources(self, sources: Sequence[str]) -> RemovalCounts:
        """Removes these sources, and nothing below them; those that are not there are passed over."""
        gone = _Gone()
        return self._removed(gone, self._library.remove_all(sources, gone.also))

    def preview(self, source: str) -> RemovalCounts:
        """What `below` would take, for people to be asked first; nothing goes.

        Raises:
            NotFoundError: nothing has this source.
        """
        gone = _Gone()
        with read_connection(self._library.engine) as connection:
            document_ids = self._library.below(connection, source)
            for batch in batched(document_ids, SQL_BATCH):
                of_these = select(passages.c.passage_id).where(passages.c.document_id.in_(batch))
                gone.look(connection, list(connection.scalars(of_these)))
        return self._removed(gone, len(document_ids))

    def _removed(self, gone: _Gone, n_documents: int) -> RemovalCounts:
        return RemovalCounts(n_documents, len(gone.passage_ids), gone.n_verdicts, self._learnt(gone))

    def _learnt(self, gone: _Gone) -> tuple[str, ...]:
        """Versions that were trained on one of the passages, or knew a verdict on one."""
        learnt = []
        for version in (version for version in self._registry.versions() if version.tier > 0):
            trained_on = gone.passage_ids & self._registry.training_positives(version.encoder_id)
            first = gone.first_event
            if trained_on or (first is not None and first <= last_learned_event(version, self._feedback)):
                learnt.append(version.encoder_id)
        return tuple(learnt)


class _Gone:
    """What one removal took."""

    def __init__(self) -> None:
        self.passage_ids: set[str] = set()
        self.first_event: int | None = None
        """The first verdict on one of them."""
        self.n_verdicts = 0

    def also(self, connection: Connection, passage_ids: Sequence[str]) -> None:
        """Notes the passages, and withdraws what is on them; what was decided of them as negatives goes too."""
        self.look(connection, passage_ids)
        for batch in batched(passage_ids, SQL_BATCH):
            _withdraw(connection, batch)
            connection.execute(delete(reviews).where(reviews.c.passage_id.in_(batch)))

    def look(self, connection: Connection, passage_ids: Sequence[str]) -> None:
        """Notes the passages, and counts what is on them."""
        self.passage_ids.update(passage_ids)
        for batch in batched(passage_ids, SQL_BATCH):
            on_these = select(func.min(verdict_events.c.event_id)).where(verdict_events.c.passage_id.in_(batch))
            events = [event for event in (connection.scalar(on_these), self.first_event) if event is not None]
            self.first_event = min(events, default=None)
            self.n_verdicts += len(_standing(connection, batch))


def find_gone_sources(library: Library, found: FoundFiles) -> list[str]:
    """Sources that are no longer in the folders that were looked through. Lines of BEIR corpora are not files."""
    of_beir = select(passages.c.document_id).where(passages.c.external_id.is_not(None))
    query = select(documents.c.source).where(documents.c.document_id.not_in(of_beir)).order_by(documents.c.source)
    if not found.folders:
        return []
    with read_connection(library.engine) as connection:
        return find_vanished(found, connection.scalars(query).all())


def _standing(connection: Connection, passage_ids: Sequence[str]) -> Sequence[Row[Any, Any, Any]]:
    """Person, turn and passage of every verdict that is on these passages."""
    event = verdict_events.c
    latest = select(func.max(event.event_id)).where(event.passage_id.in_(passage_ids))
    latest = latest.group_by(event.user, event.turn_id, event.passage_id)
    standing = select(event.user, event.turn_id, event.passage_id)
    return connection.execute(standing.where(event.event_id.in_(latest), event.verdict != WITHDRAWN_VERDICT)).all()


def _withdraw(connection: Connection, passage_ids: Sequence[str]) -> None:
    """Appends the end of every verdict that is on these passages."""
    at = utc_now().isoformat()
    ends = [
        {**row._mapping, "verdict": WITHDRAWN_VERDICT, "comment": "", "given_at": at}
        for row in _standing(connection, passage_ids)
    ]
    if ends:
        connection.execute(insert(verdict_events), ends)
