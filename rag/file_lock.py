"""One process at a time: a lock on a file that the kernel releases when its holder ends, `kill -9` included."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from rag.errors import BusyError
from rag.state_files import PRIVATE_FILE, make_private_folder


class ProcessLock:
    """An exclusive `flock`, held from construction to release(). The file names its holder by process id.

    A second lock on the same file is refused within one process too. Works on local disks of Linux and macOS.
    """

    def __init__(self, path: Path, resource: str) -> None:
        """Takes the lock at once; never waits.

        Raises:
            BusyError: somebody holds it; *resource* says in the message what it guards.
        """
        make_private_folder(path.parent)
        self.path = path
        self.fd = _open_and_lock(path, resource)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Lets the next one in; the file stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def is_lock_held(path: Path) -> bool:
    """Whether a process holds the lock of this file now.

    It is asked of the kernel only if the process that took it last is alive: for the time of the question, who wants
    the lock would be refused.
    """
    if not _is_alive(path):
        return False
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _is_alive(path: Path) -> bool:
    """Whether the process that the file names is there; not if none ever held it."""
    try:
        os.kill(int(path.read_text()), 0)
    except PermissionError:
        return True  # it is somebody else's
    except (OSError, ValueError):
        return False
    return True


def _open_and_lock(path: Path, what: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 20, 0).decode() or "unknown"
            os.close(fd)
            raise BusyError(
                f"{what} is held by process {holder}, and only one may open it: stop that one, "
                "or try again when it has ended"
            ) from error
        if _is_still(fd, path):
            return fd
        os.close(fd)  # removed by its last holder between our open and our lock


def _is_still(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
