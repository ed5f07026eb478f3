"""Paths → the files below them that can be read, each with the name that it has in the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag.formats import refusal

Outcome = tuple[str, str]
"""A source, and a reason or note, which may be empty."""


@dataclass(frozen=True, slots=True)
class Found:
    """What some paths lead to."""

    files: tuple[Path, ...] = ()
    skipped: tuple[Outcome, ...] = ()
    failed: tuple[Outcome, ...] = ()
    named: Mapping[Path, str] = field(default_factory=dict)
    """Sources of files that are not called by their path, as uploads are."""

    def source(self, path: Path) -> str:
        """The name that a file of these has in the library."""
        return self.named.get(path) or source_of(path)


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
