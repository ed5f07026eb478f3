"""The folder of one Chroma index: who may open it, whether its files are whole, and where torn ones go."""

from __future__ import annotations

import json
import logging
import os
import shutil
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rag.file_lock import ProcessLock

log = logging.getLogger(__name__)

FolderCondition = Literal["new", "sealed", "torn"]
MAX_QUARANTINED = 2  # torn indexes kept for whoever wants to know why


class ChromaFolder:
    """`FOLDER/chroma` with its lock and its seal.

    The seal is a list of Chroma's files, written when they are complete and on disk, removed before they change. What
    is not as it was sealed counts as torn and is never opened again: Chroma 1.5.9 answers from a `link_lists.bin` cut
    in half as if nothing were wrong, dies of a cut `header.bin`, and of some twenty indexes whose writer was killed one
    passed every check in a child process (all rows readable, 1,000 found by their own vectors) and then, at the first
    write, grew to 62 GB within six minutes. Rebuilding from SQL takes 2 ms a passage, and search goes on meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the folder for this process.

        Raises:
            BusyError: another process has it.
        """
        self.folder = folder
        self.chroma = folder / "chroma"
        self._seal = folder / "sealed.json"
        self.lock = ProcessLock(folder / "lock", f"the index {str(folder)!r}")

    def condition(self) -> FolderCondition:
        """Whether Chroma's files are there, and as they were sealed. Nothing of Chroma is opened for it."""
        if not self.chroma.is_dir():
            return "new"
        try:
            sealed: dict[str, list[int]] = json.loads(self._seal.read_bytes())
        except (FileNotFoundError, ValueError):
            return "torn"
        files = self._files()
        if sorted(sealed) != sorted(files):
            return "torn"
        # Sizes first: a file of 62 GB need not be read.
        if any(path.stat().st_size != sealed[name][0] for name, path in files.items()):
            return "torn"
        return "torn" if any(_checksum(path) != sealed[name][1] for name, path in files.items()) else "sealed"

    @property
    def has_clean_marker(self) -> bool:
        """Whether a seal is there, matching or not."""
        return self._seal.exists()

    def mark_dirty(self) -> None:
        """Says, on disk, that Chroma's files are about to change."""
        if self.has_clean_marker:
            self._seal.unlink()
            _fsync(self.folder)

    def mark_clean(self) -> None:
        """Brings Chroma's files to disk, then writes the seal."""
        files = self._files()
        for path in (*files.values(), *{path.parent for path in files.values()}, self.chroma):
            _fsync(path)
        sums = {name: [path.stat().st_size, _checksum(path)] for name, path in files.items()}
        part = self._seal.with_suffix(".part")
        part.write_text(json.dumps(sums, indent=1))
        _fsync(part)
        part.replace(self._seal)
        _fsync(self.folder)

    def quarantine(self) -> Path:
        """Moves Chroma's files out of the way, and removes all but the newest of those moved before."""
        self.mark_dirty()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        moved = self.folder / f"chroma.torn-{stamp}"
        self.chroma.rename(moved)
        for old in sorted(self.folder.glob("chroma.torn-*"))[:-MAX_QUARANTINED]:
            shutil.rmtree(old)
        log.warning("moved a torn index to %s; it is rebuilt from the vectors in SQL", moved)
        return moved

    def remove(self) -> None:
        """Removes the index with everything that belongs to it, and releases it."""
        shutil.rmtree(self.folder)
        self.lock.release()

    def release(self) -> None:
        """Lets another process have it."""
        self.lock.release()

    def _files(self) -> dict[str, Path]:
        """The database and the files of the graph, by their path in Chroma's directory; not SQLite's journals."""
        paths = sorted([*self.chroma.glob("*.sqlite3"), *self.chroma.glob("*/*")])
        return {str(path.relative_to(self.chroma)): path for path in paths if path.is_file()}


def _checksum(path: Path) -> int:
    """CRC-32 of a file of the graph, about a second for a gigabyte; 0 if opening alone changes the file.

    That is the database, which notices its own damage, and `length.bin`, which Chroma 1.5.9 writes again when it opens
    a small index. The other files of the graph change with writes only.
    """
    if path.suffix == ".sqlite3" or path.name == "length.bin":
        return 0
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
