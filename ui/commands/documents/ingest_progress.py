"""What `nightjar ingest` shows on stderr while it runs: files read, passages encoded, and the file it is at."""

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

MAX_NAME_WIDTH = 40  # characters of the file's name that are shown


class IngestProgressBars:
    """Two bars, of files and of passages. The second one grows with what is read."""

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
        """A file has come further; called from several threads."""
        if step.stage == "reading":
            self._bar.update(self._files, file=_short(step.source))
        elif step.stage in ("stored", "encoding"):
            with self._lock:
                self._totals[step.source], self._encoded[step.source] = step.n_passages, step.n_encoded
                total, done = sum(self._totals.values()), sum(self._encoded.values())
            self._bar.update(self._passages, total=total, completed=done, visible=total > 0)

    def on_files_read(self, n: int) -> None:
        """This many files more need no more reading."""
        self._bar.advance(self._files, n)


@contextmanager
def ingest_progress_bars() -> Iterator[IngestProgressBars]:
    """Bars on stderr while the block runs; silent if it is no terminal, as under cron."""
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
