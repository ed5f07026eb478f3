"""Files → documents with their passages, read in several child processes at once, a bounded number ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from rag.errors import DocumentError
from rag.ingestion.progress import FileProgress, ProgressCallback, ignore_progress
from rag.parsing.parser import Parser, ParsingLimits
from rag.records import Document, Passage
from rag.splitting.splitter import SplittingRules, split_document

MAX_FILES_AHEAD = 32  # files under way or read and not yet stored; what is stored in one transaction
MAX_BYTES_AHEAD = 32 * 1024**2  # of those files; one that is larger goes alone


@dataclass(frozen=True, slots=True)
class FileToRead:
    """A file to be read."""

    path: Path
    source: str
    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class FileReadResult:
    """A file that was read, or was refused."""

    file: FileToRead
    document: Document | None
    """None if it was refused."""
    passages: tuple[Passage, ...] = ()
    note: str = ""
    """What the reader remarked, or why the file was refused."""


def default_n_readers() -> int:
    """As many child processes as this process may use cores, two at most: see decision 0023."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, n_cores)


class ReaderPool:
    """Reads files in child processes, each started when it is needed. Files come back as they are ready."""

    def __init__(
        self,
        splitting: SplittingRules,
        limits: ParsingLimits | None = None,
        n_readers: int | None = None,
        on_progress: ProgressCallback = ignore_progress,
    ) -> None:
        self._splitting = splitting
        self._tell = on_progress
        self._parsers = [Parser(limits) for _ in range(n_readers or default_n_readers())]
        self._free: SimpleQueue[Parser] = SimpleQueue()
        for parser in self._parsers:
            self._free.put(parser)
        self._pool = ThreadPoolExecutor(len(self._parsers), thread_name_prefix="reader")
        self._queued: deque[FileToRead] = deque()
        self._under_way: dict[Future[FileReadResult], FileToRead] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        for parser in self._parsers:  # ends what is being read
            parser.close()
        self._pool.shutdown()
        for parser in self._parsers:  # one may have been started again meanwhile
            parser.close()

    def add(self, file: FileToRead, *, first: bool = False) -> None:
        """Puts a file in line; *first*: at its head."""
        if first:
            self._queued.appendleft(file)
        else:
            self._queued.append(file)

    def stop(self) -> None:
        """Begins no more files; those under way still come back."""
        self._queued.clear()

    def completed_batches(self) -> Iterator[list[FileReadResult]]:
        """Yields finished files in batches until none is waiting. Files may be added meanwhile."""
        while self._fill():
            done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in done:
                del self._under_way[future]
            self._fill()  # the children go on while the caller stores
            yield [future.result() for future in done]

    def _fill(self) -> bool:
        """Gives the children something to do; False if nothing is left."""
        n_bytes = sum(file.n_bytes for file in self._under_way.values())
        while self._queued and len(self._under_way) < MAX_FILES_AHEAD:
            n_bytes += self._queued[0].n_bytes
            if self._under_way and n_bytes > MAX_BYTES_AHEAD:
                break
            file = self._queued.popleft()
            self._under_way[self._pool.submit(self._read, file)] = file
        return bool(self._under_way)

    def _read(self, file: FileToRead) -> FileReadResult:
        parser = self._free.get()
        try:
            self._tell(FileProgress(source=file.source, stage="reading"))
            parsed = parser.parse(file.path)
        except DocumentError as error:
            return FileReadResult(file, None, note=str(error))
        finally:
            self._free.put(parser)
        self._tell(FileProgress(source=file.source, stage="splitting"))
        document, passages = split_document(file.source, PurePosixPath(file.source).stem, parsed, self._splitting)
        return FileReadResult(file, document, tuple(passages), parsed.note)
