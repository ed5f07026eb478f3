"""The door: says of every request who it is from, and lets in who may come in. What is not named here needs somebody."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse

from rag.accounts.accounts import Role
from rag.errors import ForbiddenError, TooFastError
from ui.auth.account_pages import refused_page
from ui.auth.authenticate import Identified, Identify
from ui.auth.current_user import WHOEVER_IS_HERE, Person
from ui.auth.tab_ownership import PREFIX, Tabs, tabs_in
from ui.middleware.rate_limit import Pace
from ui.middleware.security_headers import Asgi, Message, Receive, Send
from ui.schemas.openai import PREFIX as OPENAI
from ui.schemas.openai import openai_error

log = logging.getLogger(__name__)

OPEN = frozenset({"/livez", "/readyz"})
"""Paths that everybody may read: whether the process lives and answers."""
OWN = frozenset({"/sign-in", "/sign-out", "/account"})
"""Pages of the door itself."""
TAKES: tuple[tuple[str, Role], ...] = ((PREFIX + "upload", "voter"), ("/people", "administrator"))
"""What takes a role by its path already; everything else checks for itself."""
UNUSED = tuple(PREFIX + name for name in ("deep_link", "proxy=", "process_recording", "vibe-", "undo-vibe-", "dev/"))
"""What Gradio offers and no page of ours uses: it writes to the disk or asks other hosts for whoever is signed in."""
PROGRAMS = ("/gradio_api/", "/config", "/assets/", "/static/")
"""What a page loads: whoever is sent to sign in from there would see nothing of it."""
UNCHANGING = ("/assets/", "/static/", "/svelte/")
N_LOOKUPS = 8  # at the same time; each is one or two queries


@dataclass(frozen=True, slots=True)
class Door:
    """What the door needs where people have to sign in."""

    identify: Identify
    pages: Asgi
    """Sign-in and account; they get requests with the person, and without one."""
    requests: Pace


class Doorman:
    """An ASGI application around another one; without a *door* everybody is the one at this machine."""

    def __init__(self, app: Asgi, door: Door | None = None) -> None:
        self._app = app
        self._door = door
        self._tabs = Tabs()
        self._lookups = anyio.CapacityLimiter(N_LOOKUPS)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Lets a request through with its person, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":  # nothing here speaks by WebSocket
            await send({"type": "websocket.close", "code": 1008})
        elif self._door is None:
            _with_person(scope, WHOEVER_IS_HERE)
            await self._app(scope, receive, send)
        else:
            await self._guard(self._door, scope, receive, send)

    async def _guard(self, door: Door, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        found = await anyio.to_thread.run_sync(door.identify.of, scope, limiter=self._lookups)
        if found is not None:
            _with_person(scope, Person(found.account.name, found.account.role))
            scope["state"]["identified"] = found
        send = _kept_nowhere(scope, send)
        if scope["path"] in OWN:
            await door.pages(scope, receive, send)
        elif found is None:
            await _refusal(scope)(scope, receive, send)
        else:
            await self._admit(door, found, scope, receive, send)

    async def _admit(self, door: Door, found: Identified, scope: Message, receive: Receive, send: Send) -> None:
        person: Person = scope["state"]["person"]
        if scope["path"].startswith(UNUSED):
            await _told(scope["path"], "not in use here", 404)(scope, receive, send)
            return
        try:
            door.requests.take(person.name)
            for prefix, role in TAKES:
                if scope["path"].startswith(prefix):
                    person.must(role)
            if scope["path"].startswith(PREFIX):
                tabs, receive = await tabs_in(scope, receive)
                for tab in tabs:
                    self._tabs.claim(tab, person.name)
        except (ForbiddenError, TooFastError) as error:
            told = refused_page(str(error)) if _wants_page(scope) and isinstance(error, ForbiddenError) else None
            await (told or refused(scope["path"], error))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def refused(path: str, error: ForbiddenError | TooFastError) -> JSONResponse:
    """A refusal for programs."""
    if isinstance(error, TooFastError):
        return _told(path, str(error), 429, {"retry-after": f"{max(1, round(error.again_s))}"})
    return _told(path, str(error), 403)


def _told(path: str, message: str, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """As those who ask below *path* read it; "detail" is what Gradio's pages show."""
    told = openai_error(message, status) if path.startswith(f"{OPENAI}/") else {"error": message, "detail": message}
    return JSONResponse(told, status, headers)


def _with_person(scope: Message, person: Person) -> None:
    scope.setdefault("state", {})["person"] = person


def _refusal(scope: Message) -> Asgi:
    """A person who opens a page is sent to sign in; a program is told how it may."""
    path = scope["path"]
    if _wants_page(scope):
        wanted = path.lstrip("/") + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        # Relative, so that a proxy may serve us below a path of its own.
        here = "../" * (path.count("/") - 1)
        return RedirectResponse(f"{here}sign-in" + (f"?next={quote(wanted, safe='')}" if wanted else ""), 303)
    reason = ("nobody is signed in, or the token does not hold: sign in, or send one as \"Authorization: Bearer nj_…\"; "
              '"nightjar tokens add" and the page "account" make them')  # fmt: skip
    return _told(path, reason, 401, {"www-authenticate": 'Bearer realm="Nightjar"'})


def _wants_page(scope: Message) -> bool:
    """Whether it is a person's browser that opens a page."""
    accepts = "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith(PROGRAMS)
    return accepts and scope["method"] in ("GET", "HEAD")


def _kept_nowhere(scope: Message, send: Send) -> Send:
    """Says that answers are for one person, and for now; files that are the same for everybody stay as they are."""
    if scope["path"].startswith(UNCHANGING):
        return send

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(raw=message["headers"]).setdefault("cache-control", "private, no-store")
        await send(message)

    return send_on
