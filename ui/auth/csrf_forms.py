"""The forms of the sign-in and account pages: their fields, their CSRF tokens, and the cookies that go with them."""

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

_RELATIVE_PAGE = re.compile(r"([\w-]+(/[\w-]+)*)?(\?[\w=&%.+~-]*)?", re.ASCII)


def safe_next_page(text: str) -> str:
    """Returns *text* if it names a page of ours to open after signing in, else "".

    There is no slash before the name, so that it can't lead to another site.

    >>> safe_next_page("documents?of=a"), safe_next_page("//evil.example"), safe_next_page("https:evil.example")
    ('documents?of=a', '', '')
    """
    return text if len(text) < 500 and _RELATIVE_PAGE.fullmatch(text) else ""


async def read_form_fields(request: Request) -> dict[str, str]:
    """Returns the fields of a form; nothing if it is not URL-encoded, as the forms of our pages are."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20))
    except ValueError:  # not UTF-8, or too many fields
        return {}


def get_authenticated(request: Request) -> Authenticated | None:
    """Returns whom AuthMiddleware found, and how; None if nobody is signed in."""
    authenticated = getattr(request.state, "identified", None)
    return authenticated if isinstance(authenticated, Authenticated) else None


def has_valid_csrf_token(request: Request, fields: Mapping[str, str]) -> bool:
    """Whether the form holds the secret of the page's cookie, which no other site can read or set."""
    secret = _form_secret(request)
    return bool(secret) and hmac.compare_digest(secret.encode(), fields.get("csrf", "").encode())


def respond_with_csrf_cookie(request: Request, make: Callable[[str], Response]) -> Response:
    """Returns the page that *make* builds with the browser's secret in its forms; a browser without a secret gets one."""
    secret = _form_secret(request) or secrets.token_urlsafe(32)
    response = make(secret)
    set_cookie(request, response, "form", secret, samesite="strict")
    return response


def _form_secret(request: Request) -> str:
    secret = parse_cookies(request.scope).get(cookie_name("form", request.scope), "")
    return secret if re.fullmatch(r"[\w-]{43}", secret, re.ASCII) else ""


def set_cookie(
    request: Request, response: Response, purpose: str, value: str, *, samesite: Any, max_age: int | None = None
) -> None:
    """Sets a cookie that no script can read; without *max_age*, in seconds, it ends with the browser."""
    response.set_cookie(
        cookie_name(purpose, request.scope),
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        secure=is_https(request.scope),
        samesite=samesite,
    )


def delete_cookie(request: Request, response: Response, purpose: str) -> None:
    """Makes the browser forget a cookie."""
    response.delete_cookie(cookie_name(purpose, request.scope), path="/", secure=is_https(request.scope), httponly=True)
