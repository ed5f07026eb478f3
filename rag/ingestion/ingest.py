"""Files, folders and BEIR corpora → the library. One bad file never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rag.ingestion.archives import ingest_archive, is_archive
from rag.ingestion.beir_corpus import BeirEntry, RefusedLine, corpus_path, entry_to_document, read_corpus
from rag.ingestion.find_files import FoundFiles, SourceOutcome, find_files, source_name
from rag.ingestion.progress import FileProgress, FileStage, ProgressCallback, ignore_progress
from rag.ingestion.reader_pool import ReaderPool
from rag.ingestion.store_files import FileIngest
from rag.library.library import Library
from rag.library.reread import mark_for_ocr
from rag.parsing.parser import ParsingLimits
from rag.parsing.pdf.tesseract import ocr_label
from rag.records import Passage
from rag.splitting.splitter import SplittingRules

BEIR_BATCH_LINES = 500  # lines between two commits


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What became of every source."""

    added: tuple[SourceOutcome, ...] = ()
    changed: tuple[SourceOutcome, ...] = ()
    unchanged: tuple[SourceOutcome, ...] = ()
    duplicates: tuple[SourceOutcome, ...] = ()
    """Same bytes as another source, which is named; stored once."""
    skipped: tuple[SourceOutcome, ...] = ()
    """Found in a folder and passed over."""
    failed: tuple[SourceOutcome, ...] = ()
    vanished: tuple[SourceOutcome, ...] = ()
    """In the library, and no longer in the folders that were looked through."""
    n_passages_new: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        """Returns the two reports as one."""
        return IngestReport(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


# ---- files


def ingest_paths(
    library: Library,
    paths: Iterable[Path],
    *,
    splitting: SplittingRules,
    on_file_done: Callable[[int], None] = lambda n: None,
    limits: ParsingLimits | None = None,
) -> IngestReport:
    """Brings files, and all below folders, into the library; *on_file_done* gets 1 for every file.

    A file whose bytes are known costs one hash. Each document is stored whole or not at all.
    """
    return ingest_files(library, find_files(paths), splitting=splitting, on_file_done=on_file_done, limits=limits)


def ingest_files(
    library: Library,
    found: FoundFiles,
    *,
    splitting: SplittingRules,
    on_file_done: Callable[[int], None] = lambda n: None,
    limits: ParsingLimits | None = None,
    on_progress: ProgressCallback = ignore_progress,
    on_stored: Callable[[Sequence[Passage]], None] = lambda passages: None,
    is_stopped: Callable[[], bool] = lambda: False,
    n_readers: int | None = None,
) -> IngestReport:
    """The second half of `ingest_paths`, for those who want to count the files first.

    *on_progress* gets every step of every file, from several threads; *on_stored* the passages of a document once they are
    stored. If *is_stopped* turns true no further file is begun: what was read is stored, the others are not in the report.
    """
    for source, reason in found.skipped:
        on_progress(FileProgress(source=source, stage="skipped", note=reason))
    for source, reason in found.failed:
        on_progress(FileProgress(source=source, stage="refused", note=reason))
    mark_for_ocr(library.engine, ocr_label(limits.ocr_languages if limits else ""))
    report = IngestReport(skipped=found.skipped, failed=found.failed)
    with ReaderPool(splitting, limits, n_readers, on_progress) as readers:
        door = _Door(library=library, readers=readers, tell=on_progress, take=on_stored, stopped=is_stopped)
        # Archives first: what has left one must be gone before a file could be taken for its copy.
        for path in filter(is_archive, found.files):
            if not is_stopped():
                report += door.archive(path, found.source(path), limits)
                on_file_done(1)
        files = tuple(path for path in found.files if not is_archive(path))
        return report + door.files(replace(found, files=files), on_file_done)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """What every file of one ingest passes through."""

    library: Library
    readers: ReaderPool
    tell: ProgressCallback
    take: Callable[[Sequence[Passage]], None]
    stopped: Callable[[], bool]

    def files(self, found: FoundFiles, progress: Callable[[int], None]) -> IngestReport:
        """Brings in what is no archive."""
        run = FileIngest(library=self.library, tell=self.tell, take=self.take, on_file_done=progress)
        run.plan(found, self.readers)
        if self.stopped():
            self.readers.stop()
        for batch in self.readers.completed_batches():
            run.keep(batch, self.readers)
            if self.stopped():
                self.readers.stop()
        told = {kind: run.told(kind) for kind in ("added", "changed", "unchanged", "duplicates", "failed")}
        return IngestReport(**told, n_passages_new=run.n_passages_new)

    def archive(self, path: Path, source: str, limits: ParsingLimits | None) -> IngestReport:
        """Brings in an archive: its members are files of their own."""
        reports = []

        def members(files: Mapping[Path, str]) -> int:
            reports.append(self.files(FoundFiles(files=tuple(files), source_by_path=files), lambda n: None))
            return len(reports[-1].failed)

        self.tell(FileProgress(source=source, stage="reading"))
        one = ingest_archive(self.library, path, source, members, limits)
        outcome = IngestReport(
            added=one.added,
            changed=one.changed,
            unchanged=one.unchanged,
            duplicates=one.duplicates,
            skipped=one.skipped,
            failed=one.failed,
        )
        for step in _steps(outcome):
            self.tell(step)
        return sum(reports, IngestReport()) + outcome


def _steps(report: IngestReport) -> Iterator[FileProgress]:
    """Where sources are that nothing more happens to."""
    kinds: tuple[tuple[tuple[SourceOutcome, ...], FileStage], ...] = (
        ((*report.added, *report.changed), "stored"),
        (report.unchanged, "unchanged"),
        (report.duplicates, "copy"),
        (report.skipped, "skipped"),
        (report.failed, "refused"),
    )
    for outcomes, stage in kinds:
        for source, note in outcomes:
            yield FileProgress(source=source, stage=stage, note=note)


# ---- BEIR


def ingest_beir(library: Library, folder: Path, *, progress: Callable[[int], None] = lambda n: None) -> IngestReport:
    """Brings a BEIR folder's corpus in, one passage a line; *progress* gets the number of lines just done.

    Lines that are gone from the file stay in the library until they are removed.

    Raises:
        NotFoundError: the folder has no corpus.jsonl.
    """
    corpus = corpus_path(folder)
    dataset = folder.resolve().name
    known = library.file_hashes()
    report = IngestReport()
    for lines in _batches(read_corpus(corpus)):
        report += _ingest_lines(library, dataset, f"{source_name(corpus)}", lines, known)
        progress(len(lines))
    return report


def _ingest_lines(
    library: Library, dataset: str, corpus: str, lines: list[BeirEntry | RefusedLine], known: dict[str, str]
) -> IngestReport:
    entries = {f"{dataset}/{line.external_id}": line for line in lines if isinstance(line, BeirEntry)}
    new = {source: entry for source, entry in entries.items() if known.get(source) != entry.sha256}
    n_new = library.put_all([entry_to_document(dataset, entry) for entry in new.values()]) if new else 0
    return IngestReport(
        added=tuple((source, "") for source in new if source not in known),
        changed=tuple((source, "") for source in new if source in known),
        unchanged=tuple((source, "") for source in entries if source not in new),
        failed=tuple((f"{corpus}:{line.number}", line.reason) for line in lines if isinstance(line, RefusedLine)),
        n_passages_new=n_new,
    )


def _batches(lines: Iterator[BeirEntry | RefusedLine]) -> Iterator[list[BeirEntry | RefusedLine]]:
    batch: list[BeirEntry | RefusedLine] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BEIR_BATCH_LINES:
            yield batch
            batch = []
    if batch:
        yield batch
