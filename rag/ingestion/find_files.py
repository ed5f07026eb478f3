"""Paths → the files below them that can be read, each with the name that it has in the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import DocumentError
from rag.parsing.format_detection import unreadable_reason

SourceOutcome = tuple[str, str]
"""A source, and a reason or note, which may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFiles:
    """What some paths lead to."""

    files: tuple[Path, ...] = ()
    skipped: tuple[SourceOutcome, ...] = ()
    failed: tuple[SourceOutcome, ...] = ()
    source_by_path: Mapping[Path, str] = field(default_factory=dict)
    """Sources of files that are not called by their path, as members of archives are."""
    here: Path | None = None
    """The folder that sources begin at; None: the current one."""
    folders: tuple[str, ...] = ()
    """Sources of the folders that were looked through."""

    def source(self, path: Path) -> str:
        """The name that a file of these has in the library."""
        return self.source_by_path.get(path) or source_name(path, self.here)


def find_files(paths: Iterable[Path], base_folder: Path | None = None) -> FoundFiles:
    """The files that can be read below some paths, each once, in the order of the paths and then by name.

    In folders, what is hidden or of another kind is skipped, and links are followed only to files inside. Relative
    paths and sources begin at *base_folder*, the current folder by default.
    """
    files: dict[str, Path] = {}
    skipped: list[SourceOutcome] = []
    failed: list[SourceOutcome] = []
    folders: list[str] = []
    for path in (base_folder / path if base_folder else path for path in paths):
        source = source_name(path, base_folder)
        try:
            is_folder = path.is_dir()
            reason = None if is_folder or path.is_file() else _why_absent(path)
        except OSError as error:
            is_folder, reason = False, _unreachable(error)
        if is_folder:
            folders.append(source)
            for file, why in _walk(path, failed, base_folder):
                if why is None:
                    files.setdefault(source_name(file, base_folder), file)
                else:
                    skipped.append((source_name(file, base_folder), why))
        elif (reason := reason or unreadable_reason(path)) is not None:
            failed.append((source, reason))
        else:
            files.setdefault(source, path)
    return FoundFiles(
        files=tuple(files.values()),
        skipped=tuple(skipped),
        failed=tuple(failed),
        here=base_folder,
        folders=tuple(folders),
    )


def find_vanished(found: FoundFiles, known: Iterable[str]) -> list[str]:
    """Returns the *known* sources below the searched folders whose files are gone.

    What lies below something that is still there, such as the members of an archive, has not vanished.
    """
    there = {found.source(path) for path in found.files} | {source for source, _ in (*found.skipped, *found.failed)}
    return [
        source
        for source in known
        if _is_below(source, found.folders)
        and source not in there
        and not any(parent in there for parent in _parents(source))
    ]


def _is_below(source: str, folders: Iterable[str]) -> bool:
    """Whether one of the folders holds it; "." holds what has a relative name."""
    parents = set(_parents(source))
    return any(folder in parents or (folder == "." and not source.startswith("/")) for folder in folders)


def _parents(source: str) -> Iterator[str]:
    """Every folder above, the nearest first."""
    while (end := source.rfind("/")) > 0:
        source = source[:end]
        yield source


def _walk(root: Path, failed: list[SourceOutcome], here: Path | None) -> Iterator[tuple[Path, str | None]]:
    """Yields every entry below a folder with the reason why it is skipped, None if it is not."""
    try:
        inside = real_path(root)
    except DocumentError as error:
        failed.append((source_name(root, here), str(error)))
        return

    def unreadable(error: OSError) -> None:
        failed.append(
            (source_name(Path(error.filename), here), f"the folder can't be read ({error.strerror}): check its rights")
        )

    for folder, folders, names in os.walk(root, onerror=unreadable):
        inner = Path(folder)
        for name in sorted(folders):
            is_link = os.path.islink(inner / name)  # noqa: PTH114 -- Path.is_symlink raises if the folder can't be entered
            if name.startswith(".") or is_link:
                yield inner / name, "hidden" if name.startswith(".") else "a link to a folder"
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            try:
                yield inner / name, _reason_to_skip(inner / name, inside)
            except (DocumentError, OSError) as error:
                reason = _unreachable(error) if isinstance(error, OSError) else str(error)
                failed.append((source_name(inner / name, here), reason))


def _reason_to_skip(path: Path, inside: Path) -> str | None:
    if path.name.startswith("."):
        return "hidden"
    if path.is_symlink() and not real_path(path).is_relative_to(inside):
        return "a link that leads out of the folder"
    if not path.is_file():
        return "a link to nothing" if path.is_symlink() else "no ordinary file"
    return unreadable_reason(path)


def real_path(path: Path) -> Path:
    """Returns the absolute path that *path* leads to once every link is followed; it need not exist.

    Raises:
        DocumentError: links lead in a circle, or the system refuses the path.
    """
    try:
        return path.resolve()
    except RuntimeError as error:  # Python 3.11 and 3.12 raise this for a circle, and from 3.13 OSError
        raise DocumentError("it is a link that leads back to itself: remove the link") from error
    except OSError as error:
        raise DocumentError(_unreachable(error)) from error
    except ValueError as error:
        raise DocumentError("its name holds a character that no file name can have: check the spelling") from error


def _why_absent(path: Path) -> str:
    try:
        real_path(path)
    except DocumentError as error:
        return str(error)
    return "it is no file or folder: check the spelling"


def _unreachable(error: OSError) -> str:
    return f"it can't be reached ({error.strerror}): check its name and the rights of its folders"


def source_name(path: Path, here: Path | None = None) -> str:
    """The name that a file has in the library: relative to *here* if it is below it, else absolute.

    *here* is the current folder by default.

    >>> source_name(Path("notes/../notes/a.md"))
    'notes/a.md'
    """
    here = here or Path.cwd()
    absolute = Path(os.path.normpath(here / path))
    named = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    return os.fsencode(named.as_posix()).decode("utf-8", "backslashreplace")  # names on Linux are bytes
