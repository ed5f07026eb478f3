"""What every response carries and every request must pass: a strict CSP, a size limit, our own host and origin."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

AsgiMessage = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[AsgiMessage]]
AsgiSend = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp = Callable[[AsgiMessage, AsgiReceive, AsgiSend], Awaitable[None]]

MAX_BODY_BYTES = 256 * 1024  # of a request; a question has 2,000 characters
UPLOAD_PATH = "/gradio_api/upload"  # the one path that files are sent to; see ui/background/uploads.py
MAX_LENGTH_DIGITS = 18  # of Content-Length
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CSP_TEMPLATE = (
    "default-src 'self'; script-src 'self'{hashes}; "
    "style-src 'self' 'unsafe-inline'; "  # Gradio's components set styles inline
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)


class SecurityMiddleware:
    """An ASGI application around another one."""

    def __init__(self, app: AsgiApp, hosts: frozenset[str] | None = LOOPBACK_HOSTS, max_upload: int = 0) -> None:
        """*hosts* are the host names that are served; None serves any, if a proxy in front checks them.

        *max_upload* is how many bytes of files one request may carry.
        """
        self._app = app
        self._hosts = hosts
        self._max_upload = max_upload

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Lets a request through, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        answer = JSONResponse({"error": refusal[1]}, refusal[0]) if refusal else self._app
        page = "text/html" in Headers(scope=scope).get("accept", "")
        if page:  # its inline scripts are read below, so it must not come compressed
            scope["headers"] = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        capped = _capped(receive, self._max_bytes(scope))
        await answer(scope, capped, _Page(send) if page else _plain(send))

    def _max_bytes(self, scope: AsgiMessage) -> int:
        """Returns the limit of a request: the form around uploaded files is as small as any other request."""
        return MAX_BODY_BYTES + (self._max_upload if scope["path"] == UPLOAD_PATH else 0)

    def _refusal(self, scope: AsgiMessage) -> tuple[int, str] | None:
        """Returns status and reason if a request is refused, else None.

        A host name that is not ours belongs to another site whose name was bound to our address (DNS rebinding);
        an origin that is not ours is a page of another site that writes here.
        """
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin", "null")
        name, site = _host_name(host), _site(origin)
        if name is None:
            return 400, f"the header Host holds {host[:100]!r}, which is no host name: write NAME or NAME:PORT"
        if self._hosts is not None and name not in self._hosts:
            local = sorted(self._hosts)[0]
            return 400, f"host {host[:100]!r} is not served here: use {local}, or add the name to server.hosts"
        if site is None:
            return 400, f"the header Origin holds {origin[:100]!r}, which is no URL: write SCHEME://NAME:PORT, or null"
        if scope["method"] not in SAFE_METHODS and "origin" in headers and site != host:
            return 403, f"requests from pages of {origin[:100]!r} are not accepted: open the page of this server itself"
        length = headers.get("content-length", "0")
        max_bytes = self._max_bytes(scope)
        # A number with more digits is too large in any case, and Python reads no number of more than 4,300.
        if not length.isdecimal() or len(length) > MAX_LENGTH_DIGITS or int(length) > max_bytes:
            return 413, f"a request may have {max_bytes:,} bytes"
        return None


def _host_name(host: str) -> str | None:
    """Returns the name in a Host header, in lower case and without its port; None if the header can't be read.

    >>> _host_name("LocalHost:7860"), _host_name("[::1]:7860"), _host_name(""), _host_name("["), _host_name("a:b")
    ('localhost', '::1', '', None, None)
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises as well: what builds URLs of a request would fail later
    except ValueError:
        return None
    return parts.hostname or ""


def _site(origin: str) -> str | None:
    """Returns host and port of an Origin header, "" for pages that have none ("null"); None if it is no URL.

    >>> _site("http://localhost:7860"), _site("null"), _site("http://["), _site("localhost")
    ('localhost:7860', '', None, None)
    """
    if origin == "null":
        return ""
    try:
        parts = urlsplit(origin)
        _ = parts.port
    except ValueError:
        return None
    return parts.netloc if parts.scheme and parts.netloc else None


def _capped(receive: AsgiReceive, max_bytes: int) -> AsgiReceive:
    """Ends a request that turns out to be larger than it said."""
    n_received = 0

    async def receive_some() -> AsgiMessage:
        nonlocal n_received
        message = await receive()
        n_received += len(message.get("body", b""))
        if n_received > max_bytes:
            raise HTTPException(413, f"a request may have {max_bytes:,} bytes")
        return message

    return receive_some


def _plain(send: AsgiSend) -> AsgiSend:
    """Adds the headers to a response that streams on."""

    async def send_with_headers(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            _add_headers(message, b"")
        await send(message)

    return send_with_headers


class _Page:
    """Holds a page back until it is complete, and allows exactly the inline scripts in it."""

    def __init__(self, send: AsgiSend) -> None:
        self._send = send
        self._start: AsgiMessage = {}
        self._body = b""

    async def __call__(self, message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            if not Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
                self._start = {}
                _add_headers(message, b"")
                await self._send(message)
        elif not self._start:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                _add_headers(self._start, self._body)
                await self._send(self._start)
                await self._send({"type": "http.response.body", "body": self._body})


def _add_headers(start: AsgiMessage, page: bytes) -> None:
    headers = MutableHeaders(raw=start["headers"])
    policy = CSP_TEMPLATE.format(hashes="".join(f" '{script_hash}'" for script_hash in csp_script_hashes(page)))
    for name, value in {"content-security-policy": policy, **SECURITY_HEADERS}.items():
        headers.setdefault(name, value)  # reports, and the pages of signing in, set stricter ones


def csp_script_hashes(page: bytes) -> list[str]:
    """Returns the hashes by which a CSP names the inline scripts of a page.

    >>> csp_script_hashes(b"<script>1</script><script src='a.js'></script>")
    ['sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=']
    """
    digests = [hashlib.sha256(script).digest() for script in dict.fromkeys(_INLINE_SCRIPT.findall(page))]
    return [f"sha256-{base64.b64encode(digest).decode()}" for digest in digests]
