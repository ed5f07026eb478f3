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
from rag.errors import ForbiddenError, RateLimitError
from ui.auth.account_pages import refused_page
from ui.auth.authenticate import Authenticated, Authenticator
from ui.auth.current_user import LOCAL_ADMINISTRATOR, CurrentUser
from ui.auth.tab_ownership import GRADIO_API_PREFIX, TabOwners, read_tab_ids
from ui.middleware.rate_limit import RateLimiter
from ui.middleware.security_headers import AsgiApp, AsgiMessage, AsgiReceive, AsgiSend
from ui.schemas.openai import OPENAI_PREFIX as OPENAI
from ui.schemas.openai import openai_error

log = logging.getLogger(__name__)

PUBLIC_PATHS = frozenset({"/livez", "/readyz"})
"""Paths that everybody may read: whether the process lives and answers."""
AUTH_PAGES = frozenset({"/sign-in", "/sign-out", "/account"})
"""Pages of the door itself."""
ROLE_BY_PREFIX: tuple[tuple[str, Role], ...] = ((GRADIO_API_PREFIX + "upload", "voter"), ("/people", "administrator"))
"""What takes a role by its path already; everything else checks for itself."""
UNUSED_GRADIO_PATHS = tuple(
    GRADIO_API_PREFIX + name for name in ("deep_link", "proxy=", "process_recording", "vibe-", "undo-vibe-", "dev/")
)
"""What Gradio offers and no page of ours uses: it writes to the disk or asks other hosts for whoever is signed in."""
SUBRESOURCE_PATHS = ("/gradio_api/", "/config", "/assets/", "/static/")
"""What a page loads: whoever is sent to sign in from there would see nothing of it."""
STATIC_PATHS = ("/assets/", "/static/", "/svelte/")
MAX_CONCURRENT_LOOKUPS = 8  # at the same time; each is one or two queries


@dataclass(frozen=True, slots=True)
class AuthStack:
    """What the door needs if people have to sign in."""

    authenticator: Authenticator
    pages: AsgiApp
    """Sign-in and account; they get requests with the person, and without one."""
    request_limiter: RateLimiter


class AuthMiddleware:
    """An ASGI application around another one; without a *door* everybody is the one at this machine."""

    def __init__(self, app: AsgiApp, auth_stack: AuthStack | None = None) -> None:
        self._app = app
        self._door = auth_stack
        self._tabs = TabOwners()
        self._lookups = anyio.CapacityLimiter(MAX_CONCURRENT_LOOKUPS)

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Lets a request through with its person, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":  # nothing here speaks by WebSocket
            await send({"type": "websocket.close", "code": 1008})
        elif self._door is None:
            _with_person(scope, LOCAL_ADMINISTRATOR)
            await self._app(scope, receive, send)
        else:
            await self._guard(self._door, scope, receive, send)

    async def _guard(self, door: AuthStack, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        found = await anyio.to_thread.run_sync(door.authenticator.of, scope, limiter=self._lookups)
        if found is not None:
            _with_person(scope, CurrentUser(found.account.name, found.account.role))
            scope["state"]["identified"] = found
        send = _kept_nowhere(scope, send)
        if scope["path"] in AUTH_PAGES:
            await door.pages(scope, receive, send)
        elif found is None:
            await _refusal(scope)(scope, receive, send)
        else:
            await self._admit(door, found, scope, receive, send)

    async def _admit(
        self, door: AuthStack, found: Authenticated, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend
    ) -> None:
        person: CurrentUser = scope["state"]["person"]
        if scope["path"].startswith(UNUSED_GRADIO_PATHS):
            await _told(scope["path"], "not in use here", 404)(scope, receive, send)
            return
        try:
            door.request_limiter.take(person.name)
            for prefix, role in ROLE_BY_PREFIX:
                if scope["path"].startswith(prefix):
                    person.require_role(role)
            if scope["path"].startswith(GRADIO_API_PREFIX):
                tabs, receive = await read_tab_ids(scope, receive)
                for tab in tabs:
                    self._tabs.claim(tab, person.name)
        except (ForbiddenError, RateLimitError) as error:
            told = refused_page(str(error)) if _wants_page(scope) and isinstance(error, ForbiddenError) else None
            await (told or refusal_response(scope["path"], error))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def refusal_response(path: str, error: ForbiddenError | RateLimitError) -> JSONResponse:
    """A refusal for programs."""
    if isinstance(error, RateLimitError):
        return _told(path, str(error), 429, {"retry-after": f"{max(1, round(error.again_s))}"})
    return _told(path, str(error), 403)


def _told(path: str, message: str, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """As those who ask below *path* read it; "detail" is what Gradio's pages show."""
    told = openai_error(message, status) if path.startswith(f"{OPENAI}/") else {"error": message, "detail": message}
    return JSONResponse(told, status, headers)


def _with_person(scope: AsgiMessage, person: CurrentUser) -> None:
    scope.setdefault("state", {})["person"] = person


def _refusal(scope: AsgiMessage) -> AsgiApp:
    """A person who opens a page is sent to sign in; a program is told how it may."""
    path = scope["path"]
    if _wants_page(scope):
        wanted = path.lstrip("/") + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        # Relative, so that a proxy may serve us below a path of its own.
        here = "../" * (path.count("/") - 1)
        return RedirectResponse(f"{here}sign-in" + (f"?next={quote(wanted, safe='')}" if wanted else ""), 303)
    reason = (
        'nobody is signed in, or the token does not hold: sign in, or send one as "Authorization: Bearer nj_…"; '
        '"nightjar tokens add" and the page "account" make them'
    )
    return _told(path, reason, 401, {"www-authenticate": 'Bearer realm="Nightjar"'})


def _wants_page(scope: AsgiMessage) -> bool:
    """Whether it is a person's browser that opens a page."""
    accepts = "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith(SUBRESOURCE_PATHS)
    return accepts and scope["method"] in ("GET", "HEAD")


def _kept_nowhere(scope: AsgiMessage, send: AsgiSend) -> AsgiSend:
    """Says that answers are for one person, and for now; files that are the same for everybody stay as they are."""
    if scope["path"].startswith(STATIC_PATHS):
        return send

    async def send_on(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(raw=message["headers"]).setdefault("cache-control", "private, no-store")
        await send(message)

    return send_on
