"""Chroma: the vectors of one passage side, kept equal to those in SQL, opened by one process at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import select

from rag.arrays import FloatArray
from rag.database.schema import passages, read_connection
from rag.database.sql_batches import batched
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import IndexDamagedError, NightjarError, UsageError
from rag.index.chroma_client import (
    chroma_failures,
    close_client,
    connect_to_server,
    describe_mismatch,
    get_or_create_collection,
    open_client,
    server_failures,
)
from rag.index.chroma_folder import ChromaFolder
from rag.index.consistency_check import N_SAMPLED, READ_BATCH, find_index_problems
from rag.index.exact_search import ScoredIds, check_dimension
from rag.state_files import PRIVATE_FOLDER

if TYPE_CHECKING:
    from chromadb import ClientAPI, Collection

log = logging.getLogger(__name__)

COLLECTION_NAME = "passages"  # in a directory of its own; on a server the passage side is part of the name
WRITE_BATCH = 500  # rows a write: Chroma takes 5,461, and a kill between two batches costs one batch
MAX_QUERY_ROWS = (
    30_000  # of a query, its vectors together: Chroma fetches them by one SQL statement of 32,766 variables
)


class ChromaIndex:
    """One passage side's vectors in Chroma. Derived from SQL: whatever happens to it, it can be rebuilt."""

    def __init__(
        self, client: ClientAPI, collection: Collection, vectors: PassageVectors, folder: ChromaFolder | None
    ) -> None:
        self._client = client
        self._collection = collection
        self._vectors = vectors
        self._folder = folder  # None for a server, which looks after its own files
        self.n_lacking = 0
        """Passages that the latest `sync` had to add."""
        self._measure()

    @classmethod
    def open(
        cls, root: Path, passage_side: str, vectors: PassageVectors, *, url: str | None = None, suspect: bool = False
    ) -> ChromaIndex:
        """Opens ROOT/PASSAGE_SIDE, or the collection of this side on the server at *url*.

        A torn one, or one that is *suspect* because Chroma failed on it, is moved aside and comes back empty: `sync`
        fills it. On a server a suspect one is verified, and replaced if it fails.

        Raises:
            BusyError: another process has it open.
            NightjarError: the server does not answer, or holds a foreign collection of this name.
        """
        if url is not None:
            return cls._open_server(url, passage_side, vectors, suspect)
        with ExitStack() as undo:
            folder = ChromaFolder(root / passage_side)
            undo.callback(folder.release)
            if folder.condition() == "torn":
                _quarantine(folder, "its files are not as they were sealed")
            elif suspect and folder.chroma.is_dir():
                _quarantine(folder, "Chroma failed on it")
            try:
                index = cls._open_directory(folder, passage_side, vectors)
            except IndexDamagedError as error:
                _quarantine(folder, str(error))
                index = cls._open_directory(folder, passage_side, vectors)
            undo.pop_all()
        return index

    @classmethod
    def _open_directory(cls, folder: ChromaFolder, passage_side: str, vectors: PassageVectors) -> ChromaIndex:
        folder.chroma.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        with chroma_failures(), ExitStack() as undo:
            client = open_client(folder.chroma)
            undo.callback(close_client, client)
            collection = get_or_create_collection(client, COLLECTION_NAME, passage_side)
            if foreign := describe_mismatch(collection, passage_side):
                raise IndexDamagedError(
                    f"the index in {str(folder.chroma)!r} is another one ({foreign}): it is rebuilt"
                )
            index = cls(client, collection, vectors, folder)
            if not folder.has_clean_marker:  # it is new
                folder.mark_clean()
            undo.pop_all()
        return index

    @classmethod
    def _open_server(cls, url: str, passage_side: str, vectors: PassageVectors, suspect: bool) -> ChromaIndex:
        name = f"nightjar-{passage_side}"
        with server_failures(url), ExitStack() as undo:
            client = connect_to_server(url)
            undo.callback(close_client, client)
            collection = get_or_create_collection(client, name, passage_side)
            if foreign := describe_mismatch(collection, passage_side):
                raise NightjarError(
                    f"collection {name!r} at {url!r} is not ours ({foreign}): "
                    "delete it there, or set index.url to another server"
                )
            if suspect and _server_problems(collection, vectors):
                client.delete_collection(name)
                collection = get_or_create_collection(client, name, passage_side)
            index = cls(client, collection, vectors, None)
            undo.pop_all()
        return index

    @classmethod
    def drop(cls, root: Path, passage_side: str, *, url: str | None = None) -> None:
        """Removes the index of a passage side that nobody serves any more; fine if there is none.

        Raises:
            BusyError: a process has it open.
        """
        if url is not None:
            with server_failures(url), ExitStack() as undo:
                client = connect_to_server(url)
                undo.callback(close_client, client)
                name = f"nightjar-{passage_side}"
                if name in {collection.name for collection in client.list_collections()}:
                    client.delete_collection(name)
        elif (root / passage_side).is_dir():
            ChromaFolder(root / passage_side).remove()

    # ---- changing

    def sync(
        self, progress: Callable[[int], None] = lambda n: None, *, stopped: Callable[[], bool] = lambda: False
    ) -> tuple[int, int]:
        """Makes the collection hold exactly the passages that have a vector in SQL; returns (added, removed).

        By ids alone: an id names its text, so its vector never changes. *progress* gets the number of passages just
        added; if *stopped* turns true it ends early and cleanly.

        Raises:
            IndexTornError: Chroma failed; open it again as suspect.
        """
        ids, matrix = self._vectors.matrix()
        with chroma_failures():
            have = set(self._ids())
            gone = sorted(have.difference(ids))
            new = [row for row, passage_id in enumerate(ids) if passage_id not in have]
            self.n_lacking = len(new)
            if not gone and not new and (self._folder is None or self._folder.has_clean_marker):
                return 0, 0
            if self._folder is not None:
                self._folder.mark_dirty()
            for batch in batched(gone, WRITE_BATCH):
                self._collection.delete(ids=list(batch))
            n_added = self._add(ids, matrix, new, progress, stopped)
            self._settle(len(have) - len(gone) + n_added)
        return n_added, len(gone)

    def _add(
        self,
        ids: Sequence[str],
        matrix: FloatArray,
        rows: Sequence[int],
        progress: Callable[[int], None],
        stopped: Callable[[], bool],
    ) -> int:
        n_added = 0
        for batch in batched(rows, WRITE_BATCH):
            if stopped():
                break
            names = [ids[row] for row in batch]
            documents = self._document_ids(names)
            metadatas = [{"document_id": documents.get(name, "")} for name in names]
            self._collection.upsert(ids=names, embeddings=matrix[list(batch)], metadatas=metadatas)
            n_added += len(batch)
            progress(len(batch))
        return n_added

    def _settle(self, n_expected: int) -> None:
        """Has Chroma apply what it was given, checks the count, and seals the files."""
        self._measure()
        if self._n_rows != n_expected:
            raise IndexDamagedError(
                f"the index counts {self._n_rows} passages, {n_expected} were stored: it is rebuilt"
            )
        if self._folder is not None:
            self._folder.mark_clean()

    # ---- asking

    def search(self, query_vectors: FloatArray, k: int) -> list[ScoredIds]:
        """For each row of *query_vectors*, `(q, dim)` float32 of unit length, up to *k* nearest passages, best first.

        Approximate: HNSW may miss a neighbour. Fewer if there are fewer passages.

        Raises:
            IndexTornError: Chroma failed.
            EncoderError: the queries have another dimension than the passages.
            UsageError: k is above MAX_ROWS.
        """
        if k > MAX_QUERY_ROWS:
            raise UsageError(f"k is {k}, and Chroma returns at most {MAX_QUERY_ROWS} passages: use exact search")
        k = min(k, self._n_rows)
        if k < 1:
            return [[] for _ in query_vectors]
        check_dimension(query_vectors, self._dim)
        found: list[ScoredIds] = []
        step = max(1, (MAX_QUERY_ROWS - 1) // k)
        with chroma_failures():
            for start in range(0, len(query_vectors), step):
                some = np.ascontiguousarray(query_vectors[start : start + step], np.float32)
                answer = self._collection.query(query_embeddings=some, n_results=k, include=["distances"])
                found += [_hits(*row) for row in zip(answer["ids"], answer["distances"], strict=True)]
        return found

    def count(self) -> int:
        """How many passages the collection holds."""
        with chroma_failures():
            return int(self._collection.count())

    def verify(self) -> None:
        """Reads every row and searches a sample by the vectors in SQL.

        Raises:
            IndexTornError: a row can't be read, or a passage is not found by its own vector.
        """
        with chroma_failures():
            found = find_index_problems(self._collection, *_sample(self._vectors))
        if found:
            raise IndexDamagedError(f"the index of {self._vectors.passage_side!r} is damaged: {'; '.join(found)}")

    def close(self) -> None:
        """Closes Chroma and lets another process open the directory."""
        close_client(self._client)
        if self._folder is not None:
            self._folder.release()

    def __enter__(self) -> ChromaIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _measure(self) -> None:
        """Reads the number of rows and their dimension, which also has Chroma load its graph."""
        with chroma_failures():
            self._n_rows = int(self._collection.count())
            first = self._collection.get(include=["embeddings"], limit=1)["embeddings"]
            self._dim = len(first[0]) if len(first) else 0

    def _ids(self) -> Iterator[str]:
        for offset in range(0, self._collection.count(), READ_BATCH):
            yield from self._collection.get(include=[], limit=READ_BATCH, offset=offset)["ids"]

    def _document_ids(self, passage_ids: Sequence[str]) -> dict[str, str]:
        columns = (passages.c.passage_id, passages.c.document_id)
        with read_connection(self._vectors.engine) as connection:
            query = select(*columns).where(passages.c.passage_id.in_(passage_ids))
            return {row.passage_id: row.document_id for row in connection.execute(query)}


def _quarantine(folder: ChromaFolder, reason: str) -> None:
    log.warning("the index %s is torn: %s", folder.folder, reason)
    folder.quarantine()


def _server_problems(collection: Collection, vectors: PassageVectors) -> list[str]:
    try:
        with chroma_failures():
            return find_index_problems(collection, *_sample(vectors))
    except IndexDamagedError as error:
        return [str(error)]


def _sample(vectors: PassageVectors) -> tuple[list[str], FloatArray]:
    """Some passages with their vectors in SQL, the same ones each time."""
    ids, matrix = vectors.matrix()
    rows = np.random.default_rng(0).permutation(len(ids))[:N_SAMPLED]
    return [ids[row] for row in rows], matrix[rows]


def _hits(ids: Sequence[str], distances: Sequence[float]) -> ScoredIds:
    cosines = np.clip(1 - np.asarray(distances), -1, 1).tolist()
    return sorted(zip(ids, cosines, strict=True), key=lambda hit: (-hit[1], hit[0]))
