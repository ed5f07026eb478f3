"""One process at a time: a lock on a file that the kernel releases when its holder ends, `kill -9` included."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import BusyError
from rag.state_files import PRIVATE_FILE, make_private_folder


class ProcessLock:
    """An exclusive lock, held from construction to release(). The file names its holder by process id.

    A second lock on the same file is refused within one process too. Works on local disks.
    """

    def __init__(self, path: Path, resource: str) -> None:
        """Takes the lock at once; never waits.

        Raises:
            BusyError: somebody holds it; *resource* says in the message what it guards.
        """
        make_private_folder(path.parent)
        self.path = path
        self._lock = _file_lock(path, names_holder=True)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise BusyError(
                f"{resource} is held by process {_holder(path) or 'unknown'}, and only one may open it: stop that one, "
                "or try again when it has ended"
            ) from error

    def release(self) -> None:
        """Lets the next one in; the file stays."""
        self._lock.release()


def is_lock_held(path: Path) -> bool:
    """Whether a process holds the lock of this file now.

    The kernel is asked only if the process that took the lock last is alive: while it is asked, anybody else who wants
    the lock is refused.
    """
    if not _is_alive(path):
        return False
    lock = _file_lock(path, names_holder=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def _file_lock(path: Path, *, names_holder: bool) -> FileLock:
    """Never waits, and leaves the file in its place; threads share what one of them holds."""
    return FileLock(
        path,
        timeout=0,
        mode=PRIVATE_FILE,
        thread_local=False,
        preserve_lock_file=True,
        on_acquired=_name_holder if names_holder else None,
    )


def _name_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _holder(path: Path) -> str:
    """The process id in the file; empty if nobody has written one."""
    try:
        return path.read_text()[:20]
    except OSError:
        return ""


def _is_alive(path: Path) -> bool:
    """Whether the process that the file names is there; not if none ever held it."""
    try:
        os.kill(int(_holder(path)), 0)
    except PermissionError:
        return True  # it is somebody else's
    except (OSError, ValueError):
        return False
    return True
