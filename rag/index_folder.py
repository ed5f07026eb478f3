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

from rag.locks import FileLock

log = logging.getLogger(__name__)

Condition = Literal["new", "sealed", "unclean", "damaged"]
N_QUARANTINED = 2  # torn indexes kept for whoever wants to know why


class IndexFolder:
    """`FOLDER/chroma` with its lock and its seal.

    The seal is a list of Chroma's files, written when they are complete and on disk, removed before they change.
    No seal: the last process was ended while it wrote. A seal that doesn't match: something else wrote.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the folder for this process.

        Raises:
            BusyError: another process has it.
        """
        self.folder = folder
        self.chroma = folder / "chroma"
        self._seal = folder / "sealed.json"
        self.lock = FileLock(folder / "lock", f"the index {str(folder)!r}")

    def condition(self) -> Condition:
        """What can be known without opening Chroma.

        "damaged": a file of the HNSW graph is not what was sealed; Chroma 1.5.9 serves a cut `link_lists.bin` without
        an error and dies of a cut `header.bin`, so it is not asked. "unclean": to be verified, in another process.
        """
        if not self.chroma.is_dir():
            return "new"
        try:
            sealed: dict[str, list[int]] = json.loads(self._seal.read_bytes())
        except (FileNotFoundError, ValueError):
            return "unclean"
        found = self._graph_files()
        if sorted(sealed) != sorted([*found, "chroma.sqlite3"]):
            return "damaged"
        # Sizes first: a torn file of 72 GB has been seen, and need not be read.
        if any(path.stat().st_size != sealed[name][0] for name, path in found.items()):
            return "damaged"
        if any(_crc32(path) != sealed[name][1] for name, path in found.items()):
            return "damaged"
        database = self.chroma / "chroma.sqlite3"
        whole = database.is_file() and database.stat().st_size == sealed["chroma.sqlite3"][0]
        return "sealed" if whole else "unclean"

    @property
    def is_sealed(self) -> bool:
        """Whether a seal is there, matching or not."""
        return self._seal.exists()

    def unseal(self) -> None:
        """Says, on disk, that Chroma's files are about to change."""
        if self.is_sealed:
            self._seal.unlink()
            _fsync(self.folder)

    def seal(self) -> None:
        """Brings Chroma's files to disk, then writes the seal."""
        files = self._graph_files() | {"chroma.sqlite3": self.chroma / "chroma.sqlite3"}
        for path in [
            *files.values(),
            *(self.chroma / name for name in {Path(name).parent for name in files}),
            self.chroma,
        ]:
            _fsync(path)
        # SQLite notices its own damage, and changes its file on opening; the graph's files change with writes only.
        sums = {
            name: [path.stat().st_size, 0 if path.suffix == ".sqlite3" else _crc32(path)]
            for name, path in files.items()
        }
        part = self._seal.with_suffix(".part")
        part.write_text(json.dumps(sums, indent=1))
        _fsync(part)
        part.replace(self._seal)
        _fsync(self.folder)

    def quarantine(self) -> Path:
        """Moves Chroma's files out of the way, and removes all but the newest of those moved before."""
        self.unseal()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        moved = self.folder / f"chroma.torn-{stamp}"
        self.chroma.rename(moved)
        for old in sorted(self.folder.glob("chroma.torn-*"))[:-N_QUARANTINED]:
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

    def _graph_files(self) -> dict[str, Path]:
        """The files of the HNSW graph, by their path in Chroma's directory; they change only when rows are written."""
        return {str(path.relative_to(self.chroma)): path for path in sorted(self.chroma.glob("*/*")) if path.is_file()}


def _crc32(path: Path) -> int:
    """Checksum of a file; about a second for a gigabyte."""
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
