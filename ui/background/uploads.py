"""Files that people send to a page: who may, what they are called here, and the ingest that brings them in."""

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

UPLOAD_FOLDER = "uploads"  # below the state directory; what lies there is called uploads/NAME in the library
MAX_NAME_LENGTH = 120  # characters; Linux takes 255 bytes
MIN_FREE_BYTES = 512 * 1024**2  # bytes of the disk that an upload must leave for the database and its index


@dataclass(frozen=True, slots=True)
class UploadRules:
    """Who may send files, and how large."""

    max_bytes: int
    """0: nobody may."""
    allows_voters: bool

    @classmethod
    def of(cls, server: ServerSettings) -> UploadRules:
        """As the settings say."""
        return cls(server.max_upload_mb * 1024**2, server.voters_upload)

    def may(self, person: CurrentUser) -> bool:
        """Whether this person may send files."""
        return self.max_bytes > 0 and person.may("voter" if self.allows_voters else "administrator")

    def check(self, person: CurrentUser) -> None:
        """Raises:
        ForbiddenError: this person may not.
        """
        if not self.may(person):
            raise ForbiddenError(
                f"{person.name!r} is a {person.role} and may not upload files here: ask an administrator, or see the "
                "settings server.voters_upload and server.max_upload_mb"
            )


def store_upload(app: App, path: Path, name: str, person: CurrentUser) -> IngestJob:
    """Moves a file that was sent into the state directory, and makes a job that brings it in; the application runs it.

    *path* is where it was received, *name* what it was called where it came from. A file of the same name and content
    that is there already is brought in again; one of the same name with another content gets a number.

    Raises:
        ForbiddenError: this person may not upload.
        UsageError: it is too large, of a kind that can't be read, or the disk is full.
    """
    rules = UploadRules.of(app.settings.server)
    rules.check(person)
    kept = safe_file_name(name)
    reason = unreadable_reason(PurePosixPath(kept))
    size = path.stat().st_size
    if reason is not None:
        raise UsageError(f"{kept!r} was not taken: {reason}")
    if size > rules.max_bytes:
        raise UsageError(
            f"{kept!r} has {size / 1024**2:,.1f} MB, at most {rules.max_bytes // 1024**2} are taken: "
            "split it, or raise server.max_upload_mb"
        )
    home = app.settings.data.resolve()
    (home / UPLOAD_FOLDER).mkdir(exist_ok=True)
    if shutil.disk_usage(home).free < size + MIN_FREE_BYTES:
        raise UsageError(f"{kept!r} was not taken, for the disk of {str(home)!r} is nearly full: free some space first")
    place = _moved(path, home / UPLOAD_FOLDER, kept)
    return app.jobs.create(IngestRequest((place.relative_to(home).as_posix(),), str(home)))


def safe_file_name(name: str) -> str:
    r"""What a file is called here: the last part of its name, without what hides, steers or turns text around.

    >>> safe_file_name("..\\C:\\notes\\Q3 report.pdf"), safe_file_name("/etc/.passwd"), safe_file_name(".\u202e..")
    ('Q3 report.pdf', 'passwd', 'file')
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(
        " " if byte.isspace() else byte for byte in last if unicodedata.category(byte)[0] != "C" or byte.isspace()
    )
    visible = " ".join(shown.split()).lstrip(".- ")
    suffix = PurePosixPath(visible).suffix
    return visible[: MAX_NAME_LENGTH - len(suffix)].removesuffix(suffix) + suffix if visible else "file"


def _moved(path: Path, folder: Path, name: str) -> Path:
    """Where the file lies now: nothing that lies there under its name is written over."""
    for candidate in (folder / numbered for numbered in _numbered(name)):
        if candidate.is_file() and filecmp.cmp(path, candidate, shallow=False):
            path.unlink()
            return candidate
        try:
            candidate.touch(exist_ok=False)  # taken, also if somebody else sends the same name at this moment
        except FileExistsError:
            continue
        try:
            shutil.move(path, candidate)
        except OSError as error:
            candidate.unlink(missing_ok=True)
            raise NightjarError(f"{name!r} can't be kept ({error.strerror}): see whether the disk is full") from error
        return candidate
    raise AssertionError("numbers end nowhere")


def _numbered(name: str) -> Iterator[str]:
    """The name, then the same with numbers.

    >>> from itertools import islice
    >>> list(islice(_numbered("a.pdf"), 3))
    ['a.pdf', 'a (2).pdf', 'a (3).pdf']
    """
    yield name
    parts = PurePosixPath(name)
    yield from (f"{parts.stem} ({number}){parts.suffix}" for number in count(2))


class UploadMiddleware:
    """An ASGI application around another one: files are received only from those who may send them."""

    def __init__(self, app: AsgiApp, rules: UploadRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Lets everything else through."""
        if scope["type"] == "http" and scope["path"] == UPLOAD_PATH:
            try:
                self._rules.check(current_user(Request(scope)))
            except ForbiddenError as error:
                await JSONResponse({"error": str(error)}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)
