"""Keeps the state directory its owner's alone: folders 0700 and files 0600, whatever the umask and whoever made them."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""The rights of everybody but the owner."""
OUR_FOLDERS = ("versions", "index", "lexical", "nights", "uploads")
OUR_FILES = ("nightjar.db*", "*.lock", "declining.json*")
"""What Nightjar itself writes into a state directory, as glob patterns of one level."""
SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")


def write_private_files() -> None:
    """Lets this process create files and folders that their owner alone can read, from now on and in all its threads.

    It is for processes that do nothing but keep a state directory; child processes inherit it.
    """
    os.umask(OTHERS | os.umask(OTHERS))


def make_private_folder(folder: Path) -> None:
    """Creates a state directory that only its owner can enter; one that exists is left to `close_to_others`."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def make_private_database(file: Path) -> None:
    """Creates a SQLite file that only its owner can read, or takes the others' rights to the one that exists.

    SQLite gives the files alongside (-wal, -shm) the rights of the database. What can't be created is left to SQLite,
    whose message says why.
    """
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
    except FileExistsError:
        _close([file.with_name(file.name + suffix) for suffix in SQLITE_SUFFIXES], "the database", file)
    except OSError as error:
        log.debug("%s was not created (%s)", file, error)


def close_to_others(folder: Path, *, thorough: bool) -> None:
    """Takes all rights to a state directory from everybody but its owner, and logs how many files had some.

    A folder of other things, in which Nightjar's files lie too, keeps its own rights; Nightjar's files in it lose
    theirs. Files that others can't reach, since the folder above is closed, are looked at only if *thorough*. Symbolic
    links inside are not followed.
    """
    tops = [folder / name for name in OUR_FOLDERS if (folder / name).is_dir()]
    tops += [file for pattern in OUR_FILES for file in folder.glob(pattern)]
    roots = [folder] if _is_ours_alone(folder) else []
    was_open = any(_is_open(path) for path in (*roots, *tops))
    if was_open or thorough:
        _close([*roots, *_tree(tops)], "the state directory", folder)


def _is_ours_alone(folder: Path) -> bool:
    """Whether a folder holds no folders but Nightjar's, and is no common one such as /tmp."""
    if folder.stat().st_mode & stat.S_ISVTX:
        return False
    with os.scandir(folder) as entries:
        return all(entry.name in OUR_FOLDERS for entry in entries if entry.is_dir(follow_symlinks=False))


def _tree(tops: list[Path]) -> Iterator[Path]:
    """Yields the paths and everything below them."""
    for top in tops:
        yield top
        for parent, folders, files in os.walk(top):
            yield from (Path(parent, name) for name in (*folders, *files))


def _is_open(path: Path) -> bool:
    """Whether anybody but the owner has a right to the path; a link has no rights of its own."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & OTHERS)


def _close(paths: list[Path], what: str, where: Path) -> None:
    n_closed, n_refused = 0, 0
    for path in paths:
        try:
            if _is_open(path):
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)
                n_closed += 1
        except FileNotFoundError:  # it went meanwhile
            continue
        except OSError:  # another owner's, or on a disk without rights or writing
            n_refused += 1
    if n_closed:
        log.warning(
            "%s %s: other users of this machine had rights to %d files or folders; they have none now",
            what,
            where,
            n_closed,
        )
    if n_refused:
        log.warning(
            "%s %s: other users of this machine have rights to %d files or folders, which could not be taken from them: "
            'run "chmod -R go= %s" as their owner',
            what,
            where,
            n_refused,
            where,
        )
