"""The place that a command writes to: looked at before the work begins, and whole after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import NotFoundError, UsageError


def check_output_path(out: Path, *, force: bool) -> None:
    """Says whether *out* can be written, so far as that does not depend on who wrote what is there.

    Raises:
        UsageError: it is there and *force* is not given.
        NotFoundError: the folder that it should lie in is not there.
    """
    if not out.resolve().parent.is_dir():
        raise NotFoundError(f"no folder {str(out.resolve().parent)!r} to write {out.name!r} in: make it first")
    if out.exists() and not force:
        raise UsageError(f"{str(out)!r} is there already: choose another name, or replace it with --force")


@contextmanager
def atomic_replace(out: Path) -> Iterator[Path]:
    """A path next to *out* that takes its place when all went well, and vanishes otherwise."""
    beside, before = (out.with_name(f".{out.name}.{os.getpid()}.{word}") for word in ("new", "old"))
    try:
        yield beside
        if out.is_dir():
            out.rename(before)
        beside.replace(out)
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        beside.unlink(missing_ok=True)
