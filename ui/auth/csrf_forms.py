"""The forms of the door's pages: what they hold, that they are ours, and the cookies that go with them."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from ui.auth.authenticate import Authenticated, cookie_name, is_https, parse_cookies

_WANTED = re.compile(r"([\w-]+(/[\w-]+)*)?(\?[\w=&%.+~-]*)?", re.ASCII)


def safe_next_page(text: str) -> str:
    """The page to open after signing in: one of ours, without a slash before its name, so that it can't lead elsewhere.

    >>> safe_next_page("documents?of=a"), safe_next_page("//evil.example"), safe_next_page("https:evil.example")
    ('documents?of=a', '', '')
    """
    return text if len(text) < 500 and _WANTED.fullmatch(text) else ""


async def read_form_fields(request: Request) -> dict[str, str]:
    """What a form holds; nothing if it is no form of the plain kind that our pages send."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20))
    except ValueError:  # no UTF-8, or too many fields
        return {}


def get_authenticated(request: Request) -> Authenticated | None:
    """Who the door found, and how; None if nobody is signed in."""
    found = getattr(request.state, "identified", None)
    return found if isinstance(found, Authenticated) else None


def has_valid_csrf_token(request: Request, fields: Mapping[str, str]) -> bool:
    """Whether the form holds what its page's cookie holds, which no other site can know or set."""
    held = _form_secret(request)
    return bool(held) and hmac.compare_digest(held.encode(), fields.get("csrf", "").encode())


def respond_with_csrf_cookie(request: Request, make: Callable[[str], Response]) -> Response:
    """The page, with the browser's secret in its forms; a browser that has none gets one."""
    secret = _form_secret(request) or secrets.token_urlsafe(32)
    response = make(secret)
    set_cookie(request, response, "form", secret, samesite="strict")
    return response


def _form_secret(request: Request) -> str:
    held = parse_cookies(request.scope).get(cookie_name("form", request.scope), "")
    return held if re.fullmatch(r"[\w-]{43}", held, re.ASCII) else ""


def set_cookie(
    request: Request, response: Response, what: str, value: str, *, samesite: Any, max_age: int | None = None
) -> None:
    """A cookie that no script can read; without *max_age*, in seconds, it ends with the browser."""
    response.set_cookie(
        cookie_name(what, request.scope),
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        secure=is_https(request.scope),
        samesite=samesite,
    )


def delete_cookie(request: Request, response: Response, what: str) -> None:
    """Lets the browser forget a cookie."""
    response.delete_cookie(cookie_name(what, request.scope), path="/", secure=is_https(request.scope), httponly=True)
