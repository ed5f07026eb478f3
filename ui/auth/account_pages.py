"""The pages of signing in and out and of the account, as HTML without a script: they work before anything is allowed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from starlette.responses import HTMLResponse

from rag.accounts.accounts import MAX_PASSWORD, MIN_PASSWORD
from rag.accounts.sessions_and_tokens import MAX_LABEL_LENGTH, AccessToken
from ui.auth.authenticate import Authenticated
from ui.html.environment import inline_style, render_html
from ui.texts import accounts as texts

AUTH_PAGE_CSP = (
    "default-src 'none'; style-src '{style}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
MAX_NAME_BOX = 100  # characters that the box for a name takes


def sign_in_page(
    csrf: str, next_page: str, *, name: str = "", error: str = "", notice: str = "", status: int = 200
) -> HTMLResponse:
    """Asks for name and password; *next_page* is the page that is opened afterwards."""
    return _auth_page(
        "sign_in",
        texts.SIGN_IN,
        status,
        csrf=csrf,
        next_page=next_page,
        name=name,
        error=error,
        notice=notice,
        max_name_length=MAX_NAME_BOX,
        max_password_length=MAX_PASSWORD,
    )


def sign_out_page(csrf: str) -> HTMLResponse:
    """Asks once more if the browser does not say that the request came from a page of ours."""
    return _auth_page("sign_out", texts.SIGN_OUT, csrf=csrf)


def refused_page(reason: str) -> HTMLResponse:
    """Says why a page is not for this person."""
    return _auth_page("refused", texts.NOT_FOR_YOU, 403, reason=reason)


def account_page(
    authenticated: Authenticated,
    csrf: str,
    tokens: Iterable[AccessToken],
    *,
    notice: str = "",
    error: str = "",
    new_token: str = "",
    status: int = 200,
) -> HTMLResponse:
    """Shows the person, the password form and the tokens; *new_token* is a token that was made just now."""
    return _auth_page(
        "account",
        texts.ACCOUNT,
        status,
        wide=True,
        account=authenticated.account,
        by_proxy=authenticated.way == "proxy",
        csrf=csrf,
        tokens=[token for token in tokens if not token.is_revoked],
        notice=notice,
        error=error,
        new_token=new_token,
        max_label_length=MAX_LABEL_LENGTH,
        max_password_length=MAX_PASSWORD,
        min_password_length=MIN_PASSWORD,
    )


def _auth_page(template: str, title: str, status: int = 200, *, wide: bool = False, **values: Any) -> HTMLResponse:
    """Renders a whole page, with a CSP that lets it load nothing."""
    style = inline_style("accounts.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    html = render_html(f"auth/{template}.html.j2", texts=texts, title=title, style=style, wide=wide, **values)
    # Not "no-referrer": browsers then call a form's origin "null", which SecurityMiddleware refuses.
    return HTMLResponse(
        html,
        status,
        {"content-security-policy": AUTH_PAGE_CSP.format(style=f"sha256-{digest}"), "referrer-policy": "same-origin"},
    )
