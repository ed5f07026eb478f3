"""Search that never stops: by Chroma if its index is ready, else by exact search over the vectors in SQL."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Literal

from rag.arrays import FloatArray
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import BusyError, EncoderError, IndexDamagedError, NightjarError, UsageError
from rag.index.chroma_index import MAX_QUERY_ROWS, ChromaIndex
from rag.index.exact_search import ExactIndex, ScoredIds

log = logging.getLogger(__name__)

IndexState = Literal["ready", "building", "absent", "torn", "busy"]
"""Only "ready" answers by Chroma. "absent": not opened, or no server answers; "busy": another process has it."""

RETRY_INTERVAL_S = 30.0  # between two attempts that searches start by themselves
CLOSE_TIMEOUT_S = 60.0  # longer than a batch and its sealing take
MAX_REPAIRS = 3  # of a process: an index that tears again and again is left alone


class ServingIndex:
    """One passage side, searchable from the first moment. Threads may share it."""

    def __init__(self, root: Path, vectors: PassageVectors, *, url: str | None = None) -> None:
        self.exact = ExactIndex(vectors)
        self.state: IndexState = "absent"
        self.reason = "not opened yet"
        self.share = 0.0
        """While it is building: of the passages that it lacked, the share that is there, 0 to 1."""
        self._root = root
        self._url = url
        self._vectors = vectors
        self._chroma: ChromaIndex | None = None
        self._changed = threading.Condition()
        self._n_searching = 0
        self._wanted = False
        self._suspect = False
        self._closed = False
        self._n_repairs = 0
        self._retry_at = float("inf")
        self._worker: threading.Thread | None = None

    # ---- asking

    def search(self, query_vectors: FloatArray, k: int) -> list[ScoredIds]:
        """For each row of *query_vectors*, `(q, dim)` float32 of unit length, up to *k* (passage id, cosine), best first.

        Raises:
            EncoderError: the queries have another dimension than the passages.
        """
        chroma = self._borrow() if k <= MAX_QUERY_ROWS else None
        if chroma is None:
            return self.exact.search(query_vectors, k)
        try:
            return chroma.search(query_vectors, k)
        except (UsageError, EncoderError):
            raise
        except NightjarError as error:
            self._fell(error)
            return self.exact.search(query_vectors, k)
        finally:
            self._give_back()

    def _borrow(self) -> ChromaIndex | None:
        with self._changed:
            if self.state == "ready":
                self._n_searching += 1
                return self._chroma
            due = time.monotonic() >= self._retry_at
        if due:
            self.prepare()
        return None

    def _give_back(self) -> None:
        with self._changed:
            self._n_searching -= 1
            self._changed.notify_all()

    def _fell(self, error: NightjarError) -> None:
        """A search failed in Chroma: exact search goes on while the index is opened again as suspect."""
        with self._changed:
            first = self.state == "ready"
            torn = isinstance(error, IndexDamagedError)
            if first:
                self._set("torn" if torn else "absent", str(error))
                self._suspect = torn
                self._n_repairs += torn
        if first:
            log.warning("search goes on by exact search: %s", error)
            if self._n_repairs <= MAX_REPAIRS:
                self.prepare()

    # ---- preparing

    def prepare(self, *, background: bool = True) -> None:
        """Opens the index, brings it up to date with SQL, and serves by it from then on.

        If that is under way already it starts over when it has finished. Waits for the end if not *background*.
        """
        with self._changed:
            self._wanted = True
            self._retry_at = float("inf")
            if self._worker is None and not self._closed:
                self._set("building", "opening")
                self._worker = threading.Thread(target=self._work, name="index", daemon=True)
                self._worker.start()
        if not background:
            self.wait()

    def refresh(self, *, background: bool = True) -> None:
        """Says that the library has changed: searches see it at once, by exact search until Chroma is up to date."""
        with self._changed:
            if self.state == "ready":
                self._set("building", "the library has changed")
        self.exact.forget()
        self.prepare(background=background)

    def wait(self, timeout_s: float | None = None) -> IndexState:
        """Waits until nothing is being prepared any more, and returns the state."""
        with self._changed:
            self._changed.wait_for(lambda: self._worker is None, timeout_s)
            return self.state

    def close(self) -> None:
        """Ends preparing at the next batch, waits for searches under way, and closes Chroma.

        A server that hangs is not waited for longer than CLOSE_S.
        """
        with self._changed:
            self._closed = True
            self._wanted = False
            self._set("absent", "closed")
        self.wait(CLOSE_TIMEOUT_S)
        self._close_chroma()

    def _work(self) -> None:
        try:
            while self._is_wanted():
                self._attempt()
        finally:  # also if an error of another kind ends the thread, so that nobody waits for it
            with self._changed:
                if self._worker is threading.current_thread():
                    self._worker = None
                    self._set("absent", "preparing it failed: see the log")

    def _is_wanted(self) -> bool:
        with self._changed:
            wanted, self._wanted = self._wanted and not self._closed, False
            if wanted:
                self.share = 0.0
                self._set("building", "opening")
            else:
                self._worker = None
                self._changed.notify_all()
            return wanted

    def _attempt(self) -> None:
        try:
            self._open_and_sync()
        except BusyError as error:
            self._failed("busy", error)
        except IndexDamagedError as error:
            self._close_chroma()
            self._failed("torn", error)
        except NightjarError as error:
            self._close_chroma()
            self._failed("absent", error)

    def _open_and_sync(self) -> None:
        if self._suspect:
            self._close_chroma()
        if self._chroma is None:
            side = self._vectors.passage_side
            self._chroma = ChromaIndex.open(self._root, side, self._vectors, url=self._url, suspect=self._suspect)
            self._suspect = False
        self._chroma.sync(self._progressed, stopped=lambda: self._closed)
        with self._changed:
            if not self._wanted and not self._closed:
                self._set("ready", "")
        if self.state == "ready":
            self.exact.forget()

    def _progressed(self, n_added: int) -> None:
        assert self._chroma is not None
        self.share = min(1.0, self.share + n_added / self._chroma.n_lacking)

    def _failed(self, state: IndexState, error: NightjarError) -> None:
        log.warning("search goes on by exact search: %s", error)
        with self._changed:
            self._set(state, str(error))
            if state != "torn":
                self._retry_at = time.monotonic() + RETRY_INTERVAL_S
            elif self._n_repairs < MAX_REPAIRS:
                self._n_repairs += 1
                self._suspect = self._wanted = True

    def _close_chroma(self) -> None:
        """Closes Chroma once no search uses it; the state is not "ready" any more, so none begins."""
        with self._changed:
            self._changed.wait_for(lambda: self._n_searching == 0)
            chroma, self._chroma = self._chroma, None
        if chroma is not None:
            chroma.close()

    def _set(self, state: IndexState, reason: str) -> None:
        self.state, self.reason = state, reason
        self._changed.notify_all()
