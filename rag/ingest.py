"""Files, folders and BEIR corpora → the library. One bad file never stops the others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath

from rag.archive import ingest_archive, is_archive
from rag.beir import BadLine, Entry, corpus_of, read_corpus, stored
from rag.errors import DocumentError
from rag.formats import refusal
from rag.library import Library
from rag.parse import Limits, Parser
from rag.passages import document_of
from rag.recognise import reading_of

BEIR_BATCH = 500  # lines between two commits
Outcome = tuple[str, str]
"""A source, and a reason or note, which may be empty."""


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


@dataclass(frozen=True, slots=True)
class Found:
    """What some paths lead to."""

    files: tuple[Path, ...] = ()
    skipped: tuple[Outcome, ...] = ()
    failed: tuple[Outcome, ...] = ()
    named: Mapping[Path, str] = field(default_factory=dict)
    """Sources of files that are not called by their path, as those unpacked from archives are."""

    def source(self, path: Path) -> str:
        """The name that a file of these has in the library."""
        return self.named.get(path) or source_of(path)


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

    A file whose bytes are known costs one hash. A file is stored in one transaction: it is there whole, or not at all.
    """
    return ingest_found(library, find_files(paths), max_words=max_words, progress=progress, limits=limits)


def find_files(paths: Iterable[Path]) -> Found:
    """The files that can be read below some paths, each once, in the order of the paths and then by name.

    In folders, what is hidden or of another kind is skipped, and links are followed only to files inside.
    """
    files: dict[str, Path] = {}
    skipped: list[Outcome] = []
    failed: list[Outcome] = []
    for path in paths:
        if path.is_dir():
            for found, reason in _walk(path, failed):
                if reason is None:
                    files.setdefault(source_of(found), found)
                else:
                    skipped.append((source_of(found), reason))
        elif not path.is_file():
            failed.append((source_of(path), "it is no file or folder: check the spelling"))
        elif (reason := refusal(path)) is not None:
            failed.append((source_of(path), reason))
        else:
            files.setdefault(source_of(path), path)
    return Found(tuple(files.values()), tuple(skipped), tuple(failed))


def _walk(root: Path, failed: list[Outcome]) -> Iterator[tuple[Path, str | None]]:
    """Every entry below a folder with the reason why it is skipped; None where it is not."""
    inside = root.resolve()

    def unreadable(error: OSError) -> None:
        failed.append(
            (source_of(Path(error.filename)), f"the folder can't be read ({error.strerror}): check its rights")
        )

    for folder, folders, names in os.walk(root, onerror=unreadable):
        here = Path(folder)
        for name in sorted(folders):
            if name.startswith(".") or (here / name).is_symlink():
                yield here / name, "hidden" if name.startswith(".") else "a link to a folder"
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield here / name, _reason_to_skip(here / name, inside)


def _reason_to_skip(path: Path, inside: Path) -> str | None:
    if path.name.startswith("."):
        return "hidden"
    if path.is_symlink() and not path.resolve().is_relative_to(inside):
        return "a link that leads out of the folder"
    if not path.is_file():
        return "a link to nothing" if path.is_symlink() else "no ordinary file"
    return refusal(path)


def source_of(path: Path) -> str:
    """The name that a file has in the library: relative to the current folder where it is below it, else absolute.

    >>> source_of(Path("notes/../notes/a.md"))
    'notes/a.md'
    """
    here = Path.cwd()
    absolute = Path(os.path.normpath(here / path))
    named = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    return os.fsencode(named.as_posix()).decode("utf-8", "backslashreplace")  # names on Linux are bytes


def ingest_found(
    library: Library,
    found: Found,
    *,
    max_words: int,
    progress: Callable[[int], None] = lambda n: None,
    limits: Limits | None = None,
) -> IngestReport:
    """The second half of `ingest_paths`, for those who want to count the files first."""
    library.read_anew(reading_of(limits.ocr_languages if limits else ""))
    report = IngestReport(skipped=found.skipped, failed=found.failed)

    def members(files: Mapping[Path, str]) -> int:
        nonlocal report
        read = _ingest_files(library, Found(tuple(files), named=files), max_words, lambda n: None, limits)
        report += read
        return len(read.failed)

    # Archives first: what has left one must be gone before a file could be taken for its copy.
    for path in filter(is_archive, found.files):
        one = ingest_archive(library, path, found.source(path), members, limits)
        report += IngestReport(one.added, one.changed, one.unchanged, one.duplicates, one.skipped, one.failed)
        progress(1)
    files = tuple(path for path in found.files if not is_archive(path))
    return report + _ingest_files(library, Found(files, named=found.named), max_words, progress, limits)


def _ingest_files(
    library: Library, found: Found, max_words: int, progress: Callable[[int], None], limits: Limits | None
) -> IngestReport:
    hashes, unreadable = _hashes(found)
    run = _Run(library, max_words, hashes)
    with Parser(limits) as parser:
        for path in found.files:
            source = found.source(path)
            if source in hashes:
                run.take(parser, path, source)
            progress(1)
    return IngestReport(
        added=tuple(run.added),
        changed=tuple(run.changed),
        unchanged=tuple(run.unchanged),
        duplicates=tuple(run.duplicates),
        failed=(*unreadable, *run.failed),
        n_passages_new=run.n_passages_new,
    )


def _hashes(found: Found) -> tuple[dict[str, str], list[Outcome]]:
    """The sha256 of every file by source, and what can't be opened."""
    hashes: dict[str, str] = {}
    failed: list[Outcome] = []
    for path in found.files:
        try:
            with path.open("rb") as file:
                hashes[found.source(path)] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            failed.append((found.source(path), f"it can't be read ({error.strerror}): check its rights"))
    return hashes, failed


@dataclass(slots=True)
class _Run:
    """What one run has done so far."""

    library: Library
    max_words: int
    hashes: dict[str, str]
    """Of the files of this run, as they are now."""
    known: dict[str, str] = field(init=False)
    """Of the sources in the library, as they were read."""
    owners: dict[str, str] = field(init=False)
    """The source that stands for a hash; of those that change in this run, not yet any."""
    added: list[Outcome] = field(default_factory=list)
    changed: list[Outcome] = field(default_factory=list)
    unchanged: list[Outcome] = field(default_factory=list)
    duplicates: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    n_passages_new: int = 0

    def __post_init__(self) -> None:
        self.known = self.library.hashes()
        stay = ((source, digest) for source, digest in self.known.items() if self.hashes.get(source, digest) == digest)
        self.owners = {digest: source for source, digest in stay}

    def take(self, parser: Parser, path: Path, source: str) -> None:
        """Brings one file in."""
        digest = self.hashes[source]
        if self.known.get(source) == digest:
            self.unchanged.append((source, ""))
        elif digest in self.owners:
            self._drop_copy(source, self.owners[digest])
        else:
            self._read(parser, path, source)

    def _drop_copy(self, source: str, owner: str) -> None:
        if source in self.known:  # it had other content before
            self.library.remove(source)
        self.duplicates.append((source, f"same bytes as {owner}"))

    def _read(self, parser: Parser, path: Path, source: str) -> None:
        is_known = source in self.known
        try:
            parsed = parser.parse(path)
        except DocumentError as error:
            kept = "; what was read of it before is kept" if is_known else ""
            self.failed.append((source, f"{error}{kept}"))
            return
        document, passages = document_of(source, PurePosixPath(source).stem, parsed, self.max_words)
        self.n_passages_new += self.library.put(document, passages)
        self.owners[document.sha256] = source
        (self.changed if is_known else self.added).append((source, parsed.note))


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
