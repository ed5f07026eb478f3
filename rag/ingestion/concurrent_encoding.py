"""Encodes passages while others are still being read, and tells how far each source has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Condition
from types import TracebackType
from typing import Self

from rag.embedding.passage_vectors import PassageVectors
from rag.embedding.protocols import PassageEncoder
from rag.ingestion.progress import FileProgress, ProgressCallback, ignore_progress
from rag.records import Passage

MIN_BATCH_TEXTS = (
    256  # texts before a batch begins, while more may come: small ones waste the encoder's time on padding
)
MAX_BATCH_TEXTS = 512  # texts between two commits, as in rag/embedding/passage_vectors.py
MAX_QUEUED_TEXTS = 50_000  # texts, some 50 MB and a quarter of an hour's work; then the reading waits


@dataclass(frozen=True, slots=True)
class EncodingReport:
    """What encoding took."""

    n_encoded: int = 0
    opening_s: float = 0.0
    """Until the encoder was there, its weights loaded."""
    encoding_s: float = 0.0
    """In the encoder alone, without SQL."""


class ConcurrentEncoder:
    """A thread that encodes what `take` brings, longest first within a batch; opens the encoder when it is needed."""

    def __init__(
        self,
        vectors: PassageVectors,
        open_encoder: Callable[[], PassageEncoder],
        on_progress: ProgressCallback = ignore_progress,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._vectors = vectors
        self._open = open_encoder
        self._tell = on_progress
        self._stopped = is_stopped
        self._waiting: dict[str, str] = {}
        self._changed = Condition()
        self._is_over = False
        self._has_ended = False
        self._progress = _Progress()
        self._n_encoded = 0
        self._opening_s = self._encoding_s = 0.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._work: Future[None] = self._pool.submit(self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._changed:
            self._waiting.clear()  # of an ingest that failed: what is left is encoded by the next one
            self._is_over = True
            self._changed.notify_all()
        self._pool.shutdown()

    def take(self, passages: Sequence[Passage]) -> None:
        """Puts the texts of one source, which is stored, in line; waits if the line is long."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MAX_QUEUED_TEXTS or self._has_ended)
            texts = {passage.text_sha256: passage.encoded_text for passage in passages}
            if texts:
                self._progress.add(passages[0].source, texts)
            self._waiting |= texts
            self._changed.notify_all()

    def finish(self) -> EncodingReport:
        """Waits until all that was taken is encoded; raises what the encoder raised."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._work.result()
        return EncodingReport(self._n_encoded, self._opening_s, self._encoding_s)

    def _run(self) -> None:
        try:
            self._encode_all()
        finally:  # nobody may wait for what has failed
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _encode_all(self) -> None:
        encoder: PassageEncoder | None = None
        while batch := self._next():
            batch = self._vectors.texts_without_vector(batch)
            if batch and encoder is None:
                start = time.perf_counter()
                encoder = self._open()
                self._opening_s = time.perf_counter() - start
            if batch and encoder is not None:
                self._encode(encoder, batch)

    def _next(self) -> dict[str, str]:
        """The next texts by hash; empty if no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or len(self._waiting) >= MIN_BATCH_TEXTS)
            if self._stopped():
                self._waiting.clear()
            names = list(islice(self._waiting, MAX_BATCH_TEXTS))
            batch = {name: self._waiting.pop(name) for name in names}
            self._changed.notify_all()
            return batch

    def _encode(self, encoder: PassageEncoder, texts: dict[str, str]) -> None:
        start = time.perf_counter()
        encoded = encoder.encode_passages(list(texts.values()))
        self._encoding_s += time.perf_counter() - start
        self._vectors.keep(list(texts), encoded)
        self._n_encoded += len(texts)
        with self._changed:
            steps = self._progress.encoded(texts)
        for step in steps:
            self._tell(step)


class _Progress:
    """Which sources wait for which texts."""

    def __init__(self) -> None:
        self._sources: dict[str, set[str]] = {}
        self._totals: dict[str, int] = {}
        self._left: dict[str, int] = {}

    def add(self, source: str, names: Iterable[str]) -> None:
        names = set(names)
        self._totals[source] = self._left[source] = len(names)
        for name in names:
            self._sources.setdefault(name, set()).add(source)

    def encoded(self, names: Iterable[str]) -> list[FileProgress]:
        """One step for every source that came further."""
        touched: set[str] = set()
        for name in names:
            for source in self._sources.pop(name, ()):
                self._left[source] -= 1
                touched.add(source)
        totals, left = self._totals, self._left
        return [
            FileProgress(
                source=source,
                stage="encoding",
                note="",
                n_passages=totals[source],
                n_encoded=totals[source] - left[source],
            )
            for source in sorted(touched)
        ]
