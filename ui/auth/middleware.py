"""Authentication: finds out who each request is from, and refuses it if it may not come in.

Every path that is not named here needs somebody who is signed in.
"""

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
from ui.auth.authenticate import Authenticator
from ui.auth.current_user import LOCAL_ADMINISTRATOR, CurrentUser
from ui.auth.tab_ownership import GRADIO_API_PREFIX, TabOwners, read_tab_ids
from ui.middleware.rate_limit import RateLimiter
from ui.middleware.security_headers import AsgiApp, AsgiMessage, AsgiReceive, AsgiSend
from ui.schemas.openai import OPENAI_PREFIX as OPENAI
from ui.schemas.openai import openai_error

log = logging.getLogger(__name__)

PUBLIC_PATHS = frozenset({"/livez", "/readyz"})
"""Paths that need no sign-in: whether the process lives, and whether it answers."""
AUTH_PAGES = frozenset({"/sign-in", "/sign-out", "/account"})
"""The pages of signing in and out and of the account, which refuse for themselves."""
ROLE_BY_PREFIX: tuple[tuple[str, Role], ...] = ((GRADIO_API_PREFIX + "upload", "voter"), ("/people", "administrator"))
"""Path prefixes that need a role; every other handler checks the role itself."""
UNUSED_GRADIO_PATHS = tuple(
    GRADIO_API_PREFIX + name for name in ("deep_link", "proxy=", "process_recording", "vibe-", "undo-vibe-", "dev/")
)
"""What Gradio offers and no page of ours uses: it would write to the disk or ask other hosts on a user's behalf."""
SUBRESOURCE_PATHS = ("/gradio_api/", "/config", "/assets/", "/static/")
"""What a page loads: a redirect to the sign-in page would not be seen there."""
STATIC_PATHS = ("/assets/", "/static/", "/svelte/")
MAX_CONCURRENT_LOOKUPS = 8  # each lookup is one or two queries


@dataclass(frozen=True, slots=True)
class AuthStack:
    """What AuthMiddleware needs if people have to sign in."""

    authenticator: Authenticator
    pages: AsgiApp
    """The application of the sign-in and account pages, for requests with a person and without one."""
    request_limiter: RateLimiter


class AuthMiddleware:
    """An ASGI application around another one; without an *auth_stack* everybody is the local administrator."""

    def __init__(self, app: AsgiApp, auth_stack: AuthStack | None = None) -> None:
        self._app = app
        self._stack = auth_stack
        self._tabs = TabOwners()
        self._lookups = anyio.CapacityLimiter(MAX_CONCURRENT_LOOKUPS)

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Passes a request on with its person, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":  # nothing here uses WebSockets
            await send({"type": "websocket.close", "code": 1008})
        elif self._stack is None:
            _set_person(scope, LOCAL_ADMINISTRATOR)
            await self._app(scope, receive, send)
        else:
            await self._guard(self._stack, scope, receive, send)

    async def _guard(self, stack: AuthStack, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        authenticated = await anyio.to_thread.run_sync(stack.authenticator.authenticate, scope, limiter=self._lookups)
        if authenticated is not None:
            _set_person(scope, CurrentUser(authenticated.account.name, authenticated.account.role))
            scope["state"]["identified"] = authenticated
        send = _with_no_store(scope, send)
        if scope["path"] in AUTH_PAGES:
            await stack.pages(scope, receive, send)
        elif authenticated is None:
            await _refusal(scope)(scope, receive, send)
        else:
            await self._admit(stack, scope, receive, send)

    async def _admit(self, stack: AuthStack, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        person: CurrentUser = scope["state"]["person"]
        if scope["path"].startswith(UNUSED_GRADIO_PATHS):
            await _error_json(scope["path"], "not in use here", 404)(scope, receive, send)
            return
        try:
            stack.request_limiter.take(person.name)
            for prefix, role in ROLE_BY_PREFIX:
                if scope["path"].startswith(prefix):
                    person.require_role(role)
            if scope["path"].startswith(GRADIO_API_PREFIX):
                tabs, receive = await read_tab_ids(scope, receive)
                for tab in tabs:
                    self._tabs.claim(tab, person.name)
        except (ForbiddenError, RateLimitError) as error:
            page = refused_page(str(error)) if _wants_page(scope) and isinstance(error, ForbiddenError) else None
            await (page or refusal_response(scope["path"], error))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def refusal_response(path: str, error: ForbiddenError | RateLimitError) -> JSONResponse:
    """Returns a refusal as programs read it."""
    if isinstance(error, RateLimitError):
        return _error_json(path, str(error), 429, {"retry-after": f"{max(1, round(error.again_s))}"})
    return _error_json(path, str(error), 403)


def _error_json(path: str, message: str, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """Returns an error as clients of *path* read it; "detail" is what Gradio's pages show."""
    body = openai_error(message, status) if path.startswith(f"{OPENAI}/") else {"error": message, "detail": message}
    return JSONResponse(body, status, headers)


def _set_person(scope: AsgiMessage, person: CurrentUser) -> None:
    scope.setdefault("state", {})["person"] = person


def _refusal(scope: AsgiMessage) -> AsgiApp:
    """Redirects a person who opens a page to sign in; refuses a program, with the way to sign in."""
    path = scope["path"]
    if _wants_page(scope):
        wanted = path.lstrip("/") + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        # Relative, so that a proxy may serve us below a path of its own.
        here = "../" * (path.count("/") - 1)
        return RedirectResponse(f"{here}sign-in" + (f"?next={quote(wanted, safe='')}" if wanted else ""), 303)
    reason = (
        'nobody is signed in, or the token is not valid: sign in, or send a token as "Authorization: Bearer nj_…"; '
        '"nightjar tokens add" and the page "account" make tokens'
    )
    return _error_json(path, reason, 401, {"www-authenticate": 'Bearer realm="Nightjar"'})


def _wants_page(scope: AsgiMessage) -> bool:
    """Whether a person's browser opens a page."""
    accepts = "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith(SUBRESOURCE_PATHS)
    return accepts and scope["method"] in ("GET", "HEAD")


def _with_no_store(scope: AsgiMessage, send: AsgiSend) -> AsgiSend:
    """Forbids caches to keep a response, which is for one person; files that are the same for everybody may be kept."""
    if scope["path"].startswith(STATIC_PATHS):
        return send

    async def send_on(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(raw=message["headers"]).setdefault("cache-control", "private, no-store")
        await send(message)

    return send_on
