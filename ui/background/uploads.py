"""Uploaded files: who may send them, how they are named here, and the ingest that reads them."""

from __future__ import annotations

import filecmp
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from starlette.requests import Request
from starlette.responses import JSONResponse

from rag.app.app import App
from rag.errors import ForbiddenError, NightjarError, UsageError
from rag.ingestion.ingest_jobs import IngestJob, IngestRequest
from rag.parsing.format_detection import unreadable_reason
from rag.settings_sections import ServerSettings
from ui.auth.current_user import CurrentUser, current_user
from ui.middleware.security_headers import UPLOAD_PATH, AsgiApp, AsgiMessage, AsgiReceive, AsgiSend

UPLOAD_FOLDER = "uploads"  # below the state directory; in the library its files are called uploads/NAME
MAX_NAME_LENGTH = 120  # characters; Linux takes 255 bytes
MIN_FREE_BYTES = 512 * 1024**2  # what an upload must leave on the disk for the database and its index


@dataclass(frozen=True, slots=True)
class UploadRules:
    """Who may upload files, and how large they may be."""

    max_bytes: int
    """The limit of one file; 0 lets nobody upload."""
    allows_voters: bool

    @classmethod
    def of(cls, server: ServerSettings) -> UploadRules:
        """Reads the rules from the settings."""
        return cls(server.max_upload_mb * 1024**2, server.voters_upload)

    def may(self, person: CurrentUser) -> bool:
        """Whether this person may upload files."""
        return self.max_bytes > 0 and person.may("voter" if self.allows_voters else "administrator")

    def check(self, person: CurrentUser) -> None:
        """Refuses whoever may not upload files.

        Raises:
            ForbiddenError: this person may not.
        """
        if not self.may(person):
            raise ForbiddenError(
                f"{person.name!r} is a {person.role} and may not upload files here: ask an administrator, or see the "
                "settings server.voters_upload and server.max_upload_mb"
            )


def store_upload(app: App, path: Path, name: str, person: CurrentUser) -> IngestJob:
    """Moves an uploaded file into the state directory, and creates a job that ingests it; the application runs the job.

    *path* is the file as it was received, *name* its name on the sender's machine. A file of the same name and content
    that is there already is ingested again; a file of the same name with other content gets a number.

    Raises:
        ForbiddenError: this person may not upload.
        UsageError: the file is too large or of a kind that can't be read, or the disk is nearly full.
    """
    rules = UploadRules.of(app.settings.server)
    rules.check(person)
    stored_name = safe_file_name(name)
    reason = unreadable_reason(PurePosixPath(stored_name))
    size = path.stat().st_size
    if reason is not None:
        raise UsageError(f"{stored_name!r} was not stored: {reason}")
    if size > rules.max_bytes:
        raise UsageError(
            f"{stored_name!r} has {size / 1024**2:,.1f} MB, and at most {rules.max_bytes // 1024**2} are allowed: "
            "split it, or raise server.max_upload_mb"
        )
    home = app.settings.data.resolve()
    (home / UPLOAD_FOLDER).mkdir(exist_ok=True)
    if shutil.disk_usage(home).free < size + MIN_FREE_BYTES:
        raise UsageError(
            f"{stored_name!r} was not stored, because the disk of {str(home)!r} is nearly full: free some space first"
        )
    file = _move(path, home / UPLOAD_FOLDER, stored_name)
    return app.jobs.create(IngestRequest((file.relative_to(home).as_posix(),), str(home)))


def safe_file_name(name: str) -> str:
    r"""Returns the name of a file here: the last part of its own, without leading dots and control characters.

    >>> safe_file_name("..\\C:\\notes\\Q3 report.pdf"), safe_file_name("/etc/.passwd"), safe_file_name(".\u202e..")
    ('Q3 report.pdf', 'passwd', 'file')
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(
        " " if character.isspace() else character
        for character in last
        if unicodedata.category(character)[0] != "C" or character.isspace()
    )
    visible = " ".join(shown.split()).lstrip(".- ")
    suffix = PurePosixPath(visible).suffix
    return visible[: MAX_NAME_LENGTH - len(suffix)].removesuffix(suffix) + suffix if visible else "file"


def _move(path: Path, folder: Path, name: str) -> Path:
    """Moves the file into the folder without overwriting another one, and returns its new path."""
    for candidate in (folder / numbered for numbered in _numbered(name)):
        if candidate.is_file() and filecmp.cmp(path, candidate, shallow=False):
            path.unlink()
            return candidate
        try:
            candidate.touch(
                exist_ok=False
            )  # reserves the name, even if somebody else uploads the same one at this moment
        except FileExistsError:
            continue
        try:
            shutil.move(path, candidate)
        except OSError as error:
            candidate.unlink(missing_ok=True)
            raise NightjarError(
                f"{name!r} can't be stored ({error.strerror}): check whether the disk is full"
            ) from error
        return candidate
    raise AssertionError("there is always another number")


def _numbered(name: str) -> Iterator[str]:
    """Yields the name, then the name with numbers.

    >>> from itertools import islice
    >>> list(islice(_numbered("a.pdf"), 3))
    ['a.pdf', 'a (2).pdf', 'a (3).pdf']
    """
    yield name
    parts = PurePosixPath(name)
    yield from (f"{parts.stem} ({number}){parts.suffix}" for number in count(2))


class UploadMiddleware:
    """An ASGI application around another one: only people who may upload files can send any."""

    def __init__(self, app: AsgiApp, rules: UploadRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Refuses an upload that is not allowed, and passes everything else on."""
        if scope["type"] == "http" and scope["path"] == UPLOAD_PATH:
            try:
                self._rules.check(current_user(Request(scope)))
            except ForbiddenError as error:
                await JSONResponse({"error": str(error)}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)
