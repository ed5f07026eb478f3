"""A zip archive → files in a folder of ours, under names of ours; what must not be unpacked is named with the reason.

Runs in the child process that reads untrusted files (rag.parse_child).
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.errors import DocumentError
from rag.parsing.format_detection import READER_BY_SUFFIX, unreadable_reason
from rag.parsing.formats.zip_container import MALFORMED_ERRORS, MAX_MEMBERS, MAX_RATIO, is_zip_bomb, malformed_error

MAX_UNPACKED_MIB = 1024  # of all members that are read
MAX_NAME = 400  # characters: the name becomes part of a source
MAX_LEVELS = 32  # of folders inside the archive
_PIECE = 1024**2  # bytes at a time
_UTF8_NAME = 0x800  # of a member's flags
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveMember:
    """One file in an archive."""

    name: str
    """As the archive gives it, with / between folders and nothing in it that does not print."""
    file: str = ""
    """Where it was unpacked to, inside our folder; empty if it was not."""
    sha256: str = ""
    """Of its bytes; empty if it was not unpacked."""
    reason: str = ""
    """Why it was not."""
    is_skipped: bool = False
    """True if a folder would pass over it too: it is hidden, or of a kind that is not read."""

    @property
    def is_refused(self) -> bool:
        """True if it should have been read."""
        return not self.file and not self.is_skipped


def unpack_archive(path: Path, into: Path, file_mib: int) -> list[ArchiveMember]:
    """Unpacks what can be read of an archive; each member is said with its file or the reason why not.

    Raises:
        DocumentError: the archive as a whole is damaged, or larger than it may be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not _name(entry).endswith("/")]
            _check(entries)
            return list(_members(archive, entries, into, file_mib))
    except MALFORMED_ERRORS as error:
        raise malformed_error("archive", error) from error


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if "[Content_Types].xml" in (entry.filename for entry in entries):
        raise DocumentError("it is an Office file, not an archive of documents: give it its own ending, such as .docx")
    if not entries:
        raise DocumentError("the archive is empty: was it packed completely?")
    if len(entries) > MAX_MEMBERS:
        raise DocumentError(
            f"the archive has {len(entries):,} files, more than the {MAX_MEMBERS:,} allowed: unpack it and "
            "give the folder, or split it"
        )
    wanted = [entry for entry in entries if _is_readable(_name(entry)) and not is_zip_bomb(entry)]
    unpacked_mib = sum(entry.file_size for entry in wanted) // 1024**2
    if unpacked_mib > MAX_UNPACKED_MIB:
        raise DocumentError(
            f"the archive unpacks to {unpacked_mib:,} MiB, more than the {MAX_UNPACKED_MIB:,} MiB allowed: "
            "unpack it and give the folder, or split it"
        )


def _is_readable(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in READER_BY_SUFFIX


def _members(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], into: Path, file_mib: int
) -> Iterator[ArchiveMember]:
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        name = _name(entry)
        shown = _printable(name)
        skipped, reason = _reason_to_skip(name), _reason_to_refuse(entry, name, file_mib)
        if shown in seen:
            reason = "the archive has two files of this name: the first is read"
        seen.add(shown)
        if reason or skipped:
            yield ArchiveMember(name=shown, reason=reason or skipped, is_skipped=not reason)
            continue
        file = f"{number:05}{PurePosixPath(name).suffix.lower()}"
        try:
            yield ArchiveMember(name=shown, file=file, sha256=_write(archive, entry, into / file))
        except MALFORMED_ERRORS as error:
            yield ArchiveMember(name=shown, reason=f"it is damaged inside the archive ({error}): pack it again")


def _reason_to_skip(name: str) -> str:
    parts = PurePosixPath(name).parts
    if "__MACOSX" in parts or any(part.startswith(".") and part not in (".", "..") for part in parts):
        return "hidden"
    return unreadable_reason(PurePosixPath(name)) or ""


def _reason_to_refuse(entry: zipfile.ZipInfo, name: str, file_mib: int) -> str:
    """Why a member is not touched; '' where it may be unpacked."""
    is_zip = PurePosixPath(name).suffix.lower() == ".zip"
    names = {
        "its name is an absolute path, which leads out of the archive": _is_absolute(name),
        "its name has '..' in it, which leads out of the archive": ".." in PurePosixPath(name).parts,
        "its name has control characters in it: rename it": _printable(name) != name,
        f"its name has more than {MAX_NAME} characters or {MAX_LEVELS} folders: rename it": _is_long(name),
        "it is a link, and links in archives are not followed": stat.S_ISLNK(entry.external_attr >> 16),
    }
    contents = {
        "an archive inside an archive is not read: unpack it, or give it as a file of its own": is_zip,
        "it needs a password: pack it again without one": bool(entry.flag_bits & _ENCRYPTED),
        f"it unpacks to more than {MAX_RATIO} times its size: it looks like an attack": is_zip_bomb(entry),
        f"it is larger than the {file_mib} MiB that one file may have: split it": entry.file_size > file_mib * 1024**2,
    }
    reasons = names if _reason_to_skip(name) else names | contents
    return next((reason for reason, is_so in reasons.items() if is_so), "")


def _is_absolute(name: str) -> bool:
    return name.startswith("/") or (name[1:2] == ":" and name[:1].isalpha())


def _is_long(name: str) -> bool:
    return len(name) > MAX_NAME or name.count("/") > MAX_LEVELS


def _name(entry: zipfile.ZipInfo) -> str:
    r"""The name with / between folders. If it is not marked as UTF-8 it may be all the same; old Windows wrote \."""
    name = entry.orig_filename
    if not entry.flag_bits & _UTF8_NAME:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _printable(name: str) -> str:
    r"""The name without what could hide or forge it: control characters, marks of direction, lone surrogates.

    >>> _printable("a\x1b[31m\u202e.md")
    'a\\x1b[31m\\u202e.md'
    """
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs") else c.encode("unicode_escape").decode() for c in name
    )


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Path) -> str:
    """Returns the sha256. Never more than the size that the archive says, which was checked: zipfile stops there."""
    digest = hashlib.sha256()
    with archive.open(entry) as packed, file.open("xb") as out:
        while piece := packed.read(_PIECE):
            out.write(piece)
            digest.update(piece)
    return digest.hexdigest()
