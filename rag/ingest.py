"""Files, folders and BEIR corpora → the library. One bad file never stops the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from rag.beir import BadLine, Entry, corpus_of, read_corpus, stored
from rag.find_files import Found, Outcome, find_files, source_of
from rag.library import Library
from rag.parse import Limits
from rag.read_files import Read, Readers, ToRead
from rag.records import Document, Passage
from rag.steps import Step, Tell, nobody

BEIR_BATCH = 500  # lines between two commits


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of every source."""

    added: tuple[Outcome, ...] = ()
    changed: tuple[Outcome, ...] = ()
    unchanged: tuple[Outcome, ...] = ()
    duplicates: tuple[Outcome, ...] = ()
    """Same bytes as another source, which is named; stored once."""
    skipped: tuple[Outcome, ...] = ()
    """Found in a folder and passed over."""
    failed: tuple[Outcome, ...] = ()
    n_passages_new: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        """Both, one after the other."""
        return IngestReport(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


# ---- files


def ingest_paths(
    library: Library,
    paths: Iterable[Path],
    *,
    max_words: int,
    progress: Callable[[int], None] = lambda n: None,
    limits: Limits | None = None,
) -> IngestReport:
    """Brings files, and all below folders, into the library; *progress* gets 1 for every file.

    A file whose bytes are known costs one hash. Each document is stored whole or not at all.
    """
    return ingest_found(library, find_files(paths), max_words=max_words, progress=progress, limits=limits)


def ingest_found(
    library: Library,
    found: Found,
    *,
    max_words: int,
    progress: Callable[[int], None] = lambda n: None,
    limits: Limits | None = None,
    tell: Tell = nobody,
    take: Callable[[Sequence[Passage]], None] = lambda passages: None,
    stopped: Callable[[], bool] = lambda: False,
    n_readers: int | None = None,
) -> IngestReport:
    """The second half of `ingest_paths`, for those who want to count the files first.

    *tell* gets every step of every file, from several threads; *take* the passages of a document once they are stored.
    Where *stopped* turns true no further file is begun: what was read is stored, the others are not in the report.
    """
    for kind in ("skipped", "refused"):
        for source, reason in found.skipped if kind == "skipped" else found.failed:
            tell(Step(source, "skipped" if kind == "skipped" else "refused", reason))
    run = _Run(library, tell, take, progress)
    with Readers(max_words, limits, n_readers, tell) as readers:
        run.plan(found, readers)
        for batch in readers.batches():
            run.keep(batch, readers)
            if stopped():
                readers.stop()
    return run.report(found)


@dataclass(slots=True)
class _Run:
    """What one run has done so far."""

    library: Library
    tell: Tell
    take: Callable[[Sequence[Passage]], None]
    progress: Callable[[int], None]
    known: dict[str, str] = field(init=False)
    """The sha256 of the sources in the library, as they were read."""
    copies: dict[str, list[ToRead]] = field(default_factory=dict)
    """By sha256, the files that wait for what becomes of another one with the same bytes."""
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)
    n_passages_new: int = 0

    def plan(self, found: Found, readers: Readers) -> None:
        """Settles what needs no reading, and puts the rest in line."""
        self.known = self.library.hashes()
        files = [self._hashed(path, source) for path, source in ((path, found.source(path)) for path in found.files)]
        now = {file.source: file.sha256 for file in files if file}
        # The source that stands for a hash; of those that change in this run, not yet any.
        owners = {digest: source for source, digest in self.known.items() if now.get(source, digest) == digest}
        for file in filter(None, files):
            if self.known.get(file.source) == file.sha256:
                self._settle("unchanged", file.source)
            elif file.sha256 in owners:
                self._drop_copy(file, owners[file.sha256])
            elif file.sha256 in self.copies:
                self.copies[file.sha256].append(file)
                self.tell(Step(file.source, "waiting"))
            else:
                self.copies[file.sha256] = []
                self.tell(Step(file.source, "waiting"))
                readers.add(file)

    def keep(self, batch: list[Read], readers: Readers) -> None:
        """Stores what was read, all of it in one transaction, and settles the copies of it."""
        read = [(one.document, one.passages) for one in batch if one.document is not None]
        if read:
            self.n_passages_new += self.library.put_all(read)
        for one in batch:
            if one.document is None:
                kept = "; what was read of it before is kept" if one.file.source in self.known else ""
                self._settle("failed", one.file.source, f"{one.note}{kept}")
            else:
                self._settle("changed" if one.file.source in self.known else "added", one.file.source, one.note)
                self.tell(Step(one.file.source, "stored", one.note, len(one.passages)))
                self.take(one.passages)
            self._settle_copies(one.file, one.document, readers)

    def report(self, found: Found) -> IngestReport:
        """What became of every file, in the order in which they were found."""
        told = {kind: tuple(sorted(some, key=lambda one: self.order[one[0]])) for kind, some in self.outcomes.items()}
        return IngestReport(
            added=told.get("added", ()),
            changed=told.get("changed", ()),
            unchanged=told.get("unchanged", ()),
            duplicates=told.get("duplicates", ()),
            skipped=found.skipped,
            failed=(*found.failed, *told.get("failed", ())),
            n_passages_new=self.n_passages_new,
        )

    def _hashed(self, path: Path, source: str) -> ToRead | None:
        """A file with the sha256 of its bytes; None where it can't be opened.

        Always all bytes: 10,000 small files take 0.12 s, to look at their times alone 0.07 s, and times can lie.
        """
        self.order[source] = len(self.order)
        try:
            with path.open("rb") as file:
                return ToRead(path, source, hashlib.file_digest(file, "sha256").hexdigest(), file.tell())
        except OSError as error:
            self._settle("failed", source, f"it can't be read ({error.strerror}): check its rights")
            return None

    def _settle(self, kind: str, source: str, note: str = "") -> None:
        self.outcomes.setdefault(kind, []).append((source, note))
        if kind == "unchanged":
            self.tell(Step(source, "unchanged"))
        elif kind == "duplicates":
            self.tell(Step(source, "copy", note))
        elif kind == "failed":
            self.tell(Step(source, "refused", note))
        self.progress(1)

    def _settle_copies(self, file: ToRead, document: Document | None, readers: Readers) -> None:
        """Files with the bytes of one that was stored are copies; else the first of them is read in its place."""
        waiting = self.copies.pop(file.sha256, [])
        if document is not None and document.sha256 == file.sha256:
            for copy in waiting:
                self._drop_copy(copy, file.source)
        elif waiting:
            self.copies[file.sha256] = waiting[1:]
            readers.add(waiting[0], first=True)

    def _drop_copy(self, file: ToRead, owner: str) -> None:
        if file.source in self.known:  # it had other content before
            self.library.remove(file.source)
        self._settle("duplicates", file.source, f"same bytes as {owner}")


# ---- BEIR


def ingest_beir(library: Library, folder: Path, *, progress: Callable[[int], None] = lambda n: None) -> IngestReport:
    """Brings a BEIR folder's corpus in, one passage a line; *progress* gets the number of lines just done.

    Lines that are gone from the file stay in the library until they are removed.

    Raises:
        NotFoundError: the folder has no corpus.jsonl.
    """
    corpus = corpus_of(folder)
    dataset = folder.resolve().name
    known = library.hashes()
    report = IngestReport()
    for lines in _batches(read_corpus(corpus)):
        report += _ingest_lines(library, dataset, f"{source_of(corpus)}", lines, known)
        progress(len(lines))
    return report


def _ingest_lines(
    library: Library, dataset: str, corpus: str, lines: list[Entry | BadLine], known: dict[str, str]
) -> IngestReport:
    entries = {f"{dataset}/{line.external_id}": line for line in lines if isinstance(line, Entry)}
    new = {source: entry for source, entry in entries.items() if known.get(source) != entry.sha256}
    n_new = library.put_all([stored(dataset, entry) for entry in new.values()]) if new else 0
    return IngestReport(
        added=tuple((source, "") for source in new if source not in known),
        changed=tuple((source, "") for source in new if source in known),
        unchanged=tuple((source, "") for source in entries if source not in new),
        failed=tuple((f"{corpus}:{line.number}", line.reason) for line in lines if isinstance(line, BadLine)),
        n_passages_new=n_new,
    )


def _batches(lines: Iterator[Entry | BadLine]) -> Iterator[list[Entry | BadLine]]:
    batch: list[Entry | BadLine] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BEIR_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
