"""The path that a command writes to: checked before the work begins, and replaced as a whole after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import NotFoundError, UsageError


def check_output_path(out: Path, *, force: bool) -> None:
    """Checks that *out* can be written, as far as that does not depend on who wrote what exists there.

    Raises:
        UsageError: *out* exists and *force* is false.
        NotFoundError: the parent folder of *out* does not exist.
    """
    if not out.resolve().parent.is_dir():
        raise NotFoundError(f"no folder {str(out.resolve().parent)!r} to write {out.name!r} in: make it first")
    if out.exists() and not force:
        raise UsageError(f"{str(out)!r} is there already: choose another name, or replace it with --force")


@contextmanager
def atomic_replace(out: Path) -> Iterator[Path]:
    """Yields a path next to *out* that replaces it if the block succeeds, and is removed if it fails."""
    written, before = (out.with_name(f".{out.name}.{os.getpid()}.{word}") for word in ("new", "old"))
    try:
        yield written
        if out.is_dir():
            out.rename(before)
        written.replace(out)
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(written, ignore_errors=True)
        written.unlink(missing_ok=True)
