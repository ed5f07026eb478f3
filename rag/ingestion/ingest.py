"""Files, folders and BEIR corpora → the library. One bad file never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rag.ingestion.archives import ingest_archive, is_archive
from rag.ingestion.beir_corpus import BadLine, Entry, corpus_of, read_corpus, stored
from rag.ingestion.find_files import Found, Outcome, find_files, source_of
from rag.ingestion.progress import Stage, Step, Tell, nobody
from rag.ingestion.reader_pool import Readers
from rag.ingestion.store_files import FileRun
from rag.library.library import Library
from rag.library.reread import pictures_read_by
from rag.parsing.parser import Limits
from rag.parsing.pdf.tesseract import reading_of
from rag.records import Passage
from rag.splitting.splitter import Splitting

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
    vanished: tuple[Outcome, ...] = ()
    """In the library, and no longer in the folders that were looked through."""
    n_passages_new: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        """Both, one after the other."""
        return IngestReport(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


# ---- files


def ingest_paths(
    library: Library,
    paths: Iterable[Path],
    *,
    splitting: Splitting,
    progress: Callable[[int], None] = lambda n: None,
    limits: Limits | None = None,
) -> IngestReport:
    """Brings files, and all below folders, into the library; *progress* gets 1 for every file.

    A file whose bytes are known costs one hash. Each document is stored whole or not at all.
    """
    return ingest_found(library, find_files(paths), splitting=splitting, progress=progress, limits=limits)


def ingest_found(
    library: Library,
    found: Found,
    *,
    splitting: Splitting,
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
    for source, reason in found.skipped:
        tell(Step(source, "skipped", reason))
    for source, reason in found.failed:
        tell(Step(source, "refused", reason))
    pictures_read_by(library.engine, reading_of(limits.ocr_languages if limits else ""))
    report = IngestReport(skipped=found.skipped, failed=found.failed)
    with Readers(splitting, limits, n_readers, tell) as readers:
        door = _Door(library, readers, tell, take, stopped)
        # Archives first: what has left one must be gone before a file could be taken for its copy.
        for path in filter(is_archive, found.files):
            if not stopped():
                report += door.archive(path, found.source(path), limits)
                progress(1)
        files = tuple(path for path in found.files if not is_archive(path))
        return report + door.files(replace(found, files=files), progress)


@dataclass(frozen=True, slots=True)
class _Door:
    """What every file of one ingest passes through."""

    library: Library
    readers: Readers
    tell: Tell
    take: Callable[[Sequence[Passage]], None]
    stopped: Callable[[], bool]

    def files(self, found: Found, progress: Callable[[int], None]) -> IngestReport:
        """Brings in what is no archive."""
        run = FileRun(self.library, self.tell, self.take, progress)
        run.plan(found, self.readers)
        if self.stopped():
            self.readers.stop()
        for batch in self.readers.batches():
            run.keep(batch, self.readers)
            if self.stopped():
                self.readers.stop()
        told = {kind: run.told(kind) for kind in ("added", "changed", "unchanged", "duplicates", "failed")}
        return IngestReport(**told, n_passages_new=run.n_passages_new)

    def archive(self, path: Path, source: str, limits: Limits | None) -> IngestReport:
        """Brings in an archive: its members are files of their own."""
        reports = []

        def members(files: Mapping[Path, str]) -> int:
            reports.append(self.files(Found(tuple(files), named=files), lambda n: None))
            return len(reports[-1].failed)

        self.tell(Step(source, "reading"))
        one = ingest_archive(self.library, path, source, members, limits)
        outcome = IngestReport(one.added, one.changed, one.unchanged, one.duplicates, one.skipped, one.failed)
        for step in _steps(outcome):
            self.tell(step)
        return sum(reports, IngestReport()) + outcome


def _steps(report: IngestReport) -> Iterator[Step]:
    """Where sources are that nothing more happens to."""
    kinds: tuple[tuple[tuple[Outcome, ...], Stage], ...] = (
        ((*report.added, *report.changed), "stored"), (report.unchanged, "unchanged"), (report.duplicates, "copy"),
        (report.skipped, "skipped"), (report.failed, "refused"))  # fmt: skip
    for outcomes, stage in kinds:
        for source, note in outcomes:
            yield Step(source, stage, note)


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
