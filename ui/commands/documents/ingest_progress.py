"""Shows the progress of `nightjar ingest` on stderr: files read, passages encoded, and the current file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from ui.commands.console import escape_unprintable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from rag.ingestion.find_files import FoundFiles
    from rag.ingestion.progress import FileProgress

MAX_NAME_WIDTH = 40  # how many characters of a file's name are shown


class IngestProgressBars:
    """Two bars, for files and for passages; the total of the second grows while files are read."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._files: TaskID = bar.add_task("reading", total=None, file="", unit="files")
        self._passages: TaskID = bar.add_task("encoding", total=0, file="", unit="passages", visible=False)
        self._encoded: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._lock = Lock()

    def found(self, found: FoundFiles) -> None:
        """The files are known."""
        self._bar.update(self._files, total=len(found.files))

    def step(self, step: FileProgress) -> None:
        """A file has made progress; called from several threads."""
        if step.stage == "reading":
            self._bar.update(self._files, file=_short(step.source))
        elif step.stage in ("stored", "encoding"):
            with self._lock:
                self._totals[step.source], self._encoded[step.source] = step.n_passages, step.n_encoded
                total, done = sum(self._totals.values()), sum(self._encoded.values())
            self._bar.update(self._passages, total=total, completed=done, visible=total > 0)

    def on_files_read(self, n: int) -> None:
        """This many more files need no more reading."""
        self._bar.advance(self._files, n)


@contextmanager
def ingest_progress_bars() -> Iterator[IngestProgressBars]:
    """Shows the bars on stderr while the block runs; nothing if stderr is not a terminal, as under cron."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[file]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield IngestProgressBars(bar)


def _short(source: str) -> str:
    shown = escape_unprintable(source)
    return shown if len(shown) <= MAX_NAME_WIDTH else f"…{shown[-MAX_NAME_WIDTH + 1 :]}"
