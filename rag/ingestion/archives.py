"""Zip archives → the library: each member is a document of its own, named `archive.zip/inner/name.md`.

The archive itself is stored too, as a document without passages that lists the hashes of its members. So an archive
whose hash is known, and whose members are all in the library, is not opened; after a kill it is.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.errors import DocumentError
from rag.library.library import Library
from rag.parsing.parser import Parser, ParsingLimits
from rag.parsing.unzip import ArchiveMember
from rag.records import Document
from rag.splitting.splitter import make_document_id

ZIP_MEDIA_TYPE = "application/zip"
Outcome = tuple[str, str]
ReadMembers = Callable[[Mapping[Path, str]], int]
"""Ingests unpacked files under the sources that are given; returns how many failed."""
_REFUSED = "refused"  # stands for the hash of what was not unpacked: it is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOutcome:
    """What became of an archive, and of those of its members that were not unpacked."""

    added: tuple[Outcome, ...] = ()
    changed: tuple[Outcome, ...] = ()
    unchanged: tuple[Outcome, ...] = ()
    duplicates: tuple[Outcome, ...] = ()
    skipped: tuple[Outcome, ...] = ()
    failed: tuple[Outcome, ...] = ()


def is_archive(path: Path) -> bool:
    """True for what is opened and not read itself."""
    return path.suffix.lower() == ".zip"


def ingest_archive(
    library: Library, path: Path, source: str, read_members: ReadMembers, limits: ParsingLimits | None = None
) -> ArchiveOutcome:
    """Brings an archive's members in by *read_members*, and says what became of the archive itself.

    Members that are gone from it leave the library. While one can't be read, the archive is opened every time.
    """
    known = library.file_hashes()
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return ArchiveOutcome(failed=((source, f"it can't be read ({error.strerror}): check its rights"),))
    if known.get(source) == digest and _is_whole(library, source, known):
        return ArchiveOutcome(unchanged=((source, ""),))
    owner = next((name for name, known_digest in known.items() if known_digest == digest and name != source), None)
    if owner is not None:
        if source in known:
            library.remove(source)
        return ArchiveOutcome(duplicates=((source, f"same bytes as {owner}"),))
    with tempfile.TemporaryDirectory(prefix="nightjar-") as folder:
        try:
            with Parser(limits) as parser:
                members = parser.unpack(path, Path(folder))
        except DocumentError as error:
            kept = "; what was read of it before is kept" if source in known else ""
            return ArchiveOutcome(failed=((source, f"{error}{kept}"),))
        return _stored(library, source, digest=digest, folder=Path(folder), members=members, read_members=read_members)


def _is_whole(library: Library, source: str, known: Mapping[str, str]) -> bool:
    """True if every member that the archive lists is in the library, under this name or another."""
    listed = library.document(make_document_id(source)).text.splitlines()
    return {line.partition(" ")[0] for line in listed} <= set(known.values())


def _stored(
    library: Library, source: str, digest: str, folder: Path, members: list[ArchiveMember], read_members: ReadMembers
) -> ArchiveOutcome:
    known = library.file_hashes()
    library.put(_document(source, digest, members), [])
    _remove_vanished(library, source, known, members)
    failed = [(f"{source}/{member.name}", member.reason) for member in members if member.is_refused]
    skipped = [(f"{source}/{member.name}", member.reason) for member in members if member.is_skipped]
    files = {folder / member.file: f"{source}/{member.name}" for member in members if member.file}
    if not files:
        failed.append((source, f"none of the {len(members)} file(s) in it can be read: each is listed with its reason"))
        return ArchiveOutcome(skipped=tuple(skipped), failed=tuple(failed))
    n_read = len(files) - read_members(files)
    outcome = ((source, f"an archive: {n_read} of {len(members)} file(s) read"),)
    added, changed = ((), outcome) if source in known else (outcome, ())
    return ArchiveOutcome(added=added, changed=changed, skipped=tuple(skipped), failed=tuple(failed))


def _remove_vanished(library: Library, source: str, known: Iterable[str], members: list[ArchiveMember]) -> None:
    """Before anything is read: what moved inside the archive must not be taken for a copy of what was there."""
    there = {f"{source}/{member.name}" for member in members}
    for old in known:
        if old.startswith(f"{source}/") and old not in there:
            library.remove(old)


def _document(source: str, digest: str, members: list[ArchiveMember]) -> Document:
    listing = "\n".join(f"{member.sha256 or _REFUSED} {member.name}" for member in members if not member.is_skipped)
    return Document(
        document_id=make_document_id(source),
        source=source,
        title=PurePosixPath(source).stem,
        media_type=ZIP_MEDIA_TYPE,
        sha256=digest,
        text=listing,
    )
