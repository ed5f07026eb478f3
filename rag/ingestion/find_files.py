"""Paths → the files below them that can be read, each with the name that it has in the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag.parsing.format_detection import refusal

Outcome = tuple[str, str]
"""A source, and a reason or note, which may be empty."""


@dataclass(frozen=True, slots=True)
class Found:
    """What some paths lead to."""

    files: tuple[Path, ...] = ()
    skipped: tuple[Outcome, ...] = ()
    failed: tuple[Outcome, ...] = ()
    named: Mapping[Path, str] = field(default_factory=dict)
    """Sources of files that are not called by their path, as members of archives are."""
    here: Path | None = None
    """The folder that sources begin at; None: the current one."""
    folders: tuple[str, ...] = ()
    """Sources of the folders that were looked through."""

    def source(self, path: Path) -> str:
        """The name that a file of these has in the library."""
        return self.named.get(path) or source_of(path, self.here)


def find_files(paths: Iterable[Path], here: Path | None = None) -> Found:
    """The files that can be read below some paths, each once, in the order of the paths and then by name.

    In folders, what is hidden or of another kind is skipped, and links are followed only to files inside. Relative
    paths and sources begin at *here*, the current folder by default.
    """
    files: dict[str, Path] = {}
    skipped: list[Outcome] = []
    failed: list[Outcome] = []
    folders: list[str] = []
    for path in (here / path if here else path for path in paths):
        source = source_of(path, here)
        if path.is_dir():
            folders.append(source)
            for found, reason in _walk(path, failed, here):
                if reason is None:
                    files.setdefault(source_of(found, here), found)
                else:
                    skipped.append((source_of(found, here), reason))
        elif not path.is_file():
            failed.append((source, "it is no file or folder: check the spelling"))
        elif (reason := refusal(path)) is not None:
            failed.append((source, reason))
        else:
            files.setdefault(source, path)
    return Found(tuple(files.values()), tuple(skipped), tuple(failed), here=here, folders=tuple(folders))


def vanished(found: Found, known: Iterable[str]) -> list[str]:
    """Those of the *known* sources that should be below the folders that were looked through, and are not there.

    What lies below something that is still there, such as the members of an archive, has not vanished.
    """
    there = {found.source(path) for path in found.files} | {source for source, _ in (*found.skipped, *found.failed)}
    return [source for source in known if _is_below(source, found.folders)
            and source not in there and not any(parent in there for parent in _parents(source))]  # fmt: skip


def _is_below(source: str, folders: Iterable[str]) -> bool:
    """Whether one of the folders holds it; "." holds what has a relative name."""
    parents = set(_parents(source))
    return any(folder in parents or (folder == "." and not source.startswith("/")) for folder in folders)


def _parents(source: str) -> Iterator[str]:
    """Every folder above, the nearest first."""
    while (end := source.rfind("/")) > 0:
        source = source[:end]
        yield source


def _walk(root: Path, failed: list[Outcome], here: Path | None) -> Iterator[tuple[Path, str | None]]:
    """Every entry below a folder with the reason why it is skipped; None where it is not."""
    inside = root.resolve()

    def unreadable(error: OSError) -> None:
        reason = f"the folder can't be read ({error.strerror}): check its rights"
        failed.append((source_of(Path(error.filename), here), reason))

    for folder, folders, names in os.walk(root, onerror=unreadable):
        inner = Path(folder)
        for name in sorted(folders):
            if name.startswith(".") or (inner / name).is_symlink():
                yield inner / name, "hidden" if name.startswith(".") else "a link to a folder"
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield inner / name, _reason_to_skip(inner / name, inside)


def _reason_to_skip(path: Path, inside: Path) -> str | None:
    if path.name.startswith("."):
        return "hidden"
    if path.is_symlink() and not path.resolve().is_relative_to(inside):
        return "a link that leads out of the folder"
    if not path.is_file():
        return "a link to nothing" if path.is_symlink() else "no ordinary file"
    return refusal(path)


def source_of(path: Path, here: Path | None = None) -> str:
    """The name that a file has in the library: relative to *here* where it is below it, else absolute.

    *here* is the current folder by default.

    >>> source_of(Path("notes/../notes/a.md"))
    'notes/a.md'
    """
    here = here or Path.cwd()
    absolute = Path(os.path.normpath(here / path))
    named = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    return os.fsencode(named.as_posix()).decode("utf-8", "backslashreplace")  # names on Linux are bytes
