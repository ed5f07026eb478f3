"""The pages of the door as HTML: sign in, sign out, account. Without a script, so that they work before anything is allowed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse

from rag.accounts.accounts import MAX_PASSWORD, MIN_PASSWORD
from rag.accounts.sessions_and_tokens import MAX_LABEL_LENGTH, AccessToken
from ui.auth.authenticate import Authenticated
from ui.texts import accounts as texts

AUTH_PAGE_CSP = (
    "default-src 'none'; style-src '{style}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def auth_page(title: str, body: str, status: int = 200, *, wide: bool = False) -> HTMLResponse:
    """A whole page, of which nothing may come from anywhere else."""
    style = _style()
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · Nightjar</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{style}</style></head><body><main{' class=wide' if wide else ''}>{body}</main></body></html>"
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Not "no-referrer": browsers then call a form's origin "null", and the shield refuses it.
    return HTMLResponse(
        html,
        status,
        {"content-security-policy": AUTH_PAGE_CSP.format(style=f"sha256-{digest}"), "referrer-policy": "same-origin"},
    )


@lru_cache
def _style() -> str:
    return (Path(__file__).parents[1] / "web" / "assets" / "accounts.css").read_text("utf-8")


def sign_in_page(
    csrf: str, next_page: str, *, name: str = "", error: str = "", notice: str = "", status: int = 200
) -> HTMLResponse:
    """Name and password; *next_page* is the page that is opened afterwards."""
    hidden = f'<input type="hidden" name="next" value="{escape(next_page)}">'
    first, second = ("", " autofocus") if name else (" autofocus", "")
    boxes = _box(texts.NAME, "name", "username", value=name, more=first) + _box(
        texts.PASSWORD, "password", "current-password", kind="password", more=second
    )
    body = (
        f"<h1>Nightjar</h1>{_notes(notice, error)}"
        f'<div class="card">{_form("sign-in", csrf, hidden + boxes, texts.SIGN_IN)}</div>'
        f'<p class="soft">{texts.SIGN_IN_HINT}</p>'
    )
    return auth_page(texts.SIGN_IN, body, status)


def sign_out_page(csrf: str) -> HTMLResponse:
    """Asks once more, where the browser does not say that the wish came from our own page."""
    form = _form("sign-out", csrf, f"<p>{texts.SIGN_OUT_QUESTION}</p>", texts.SIGN_OUT)
    return auth_page(texts.SIGN_OUT, f'<h1>Nightjar</h1><div class="card">{form}</div>{_back()}')


def refused_page(reason: str) -> HTMLResponse:
    """Says why a page is not for this person."""
    return auth_page(texts.NOT_FOR_YOU, f"<h1>{texts.NOT_FOR_YOU}</h1>{_notes('', reason)}{_back()}", 403)


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
    """Who one is, the password, the tokens; *new_token* is a token that was made just now."""
    account = authenticated.account
    who = texts.SIGNED_IN_AS.format(name=escape(account.name), role=texts.ROLES[account.role])
    body = f"<h1>{texts.ACCOUNT}</h1><p>{who}</p>{_back()}{_notes(notice, error)}"
    if new_token:
        body += (
            f'<div class="told" role="status"><p>{texts.MADE}</p>'
            f'<input class="secret" readonly aria-label="{texts.MADE}" value="{escape(new_token)}"></div>'
        )
    body += _sign_outs(authenticated, csrf)
    if account.has_password:
        body += _password_card(csrf, account.name)
    return auth_page(
        texts.ACCOUNT, body + _tokens_card(csrf, [token for token in tokens if not token.is_revoked]), status, wide=True
    )


def _sign_outs(found: Authenticated, csrf: str) -> str:
    if found.way == "proxy":
        return f'<div class="card"><p>{texts.BY_PROXY}</p></div>'
    everywhere = _form("account", csrf, _hidden("do", "everywhere"), texts.EVERYWHERE, quiet=True)
    here = _form("sign-out", csrf, "", texts.SIGN_OUT, quiet=True)
    return (
        f'<div class="card"><div class="row">{here}{everywhere}</div><p class="soft">{texts.EVERYWHERE_HINT}</p></div>'
    )


def _password_card(csrf: str, name: str) -> str:
    # The name, unseen: managers of passwords then know which one they change.
    who = f'<input type="hidden" name="name" autocomplete="username" value="{escape(name)}">'
    boxes = (
        _box(texts.CURRENT, "current", "current-password", kind="password")
        + _box(
            texts.NEW.format(n=MIN_PASSWORD), "new", "new-password", kind="password", more=f" minlength={MIN_PASSWORD}"
        )
        + _box(texts.AGAIN, "again", "new-password", kind="password", more=f" minlength={MIN_PASSWORD}")
    )
    form = _form("account", csrf, _hidden("do", "password") + who + boxes, texts.CHANGE_PASSWORD)
    return f'<div class="card"><h2>{texts.CHANGE_PASSWORD}</h2>{form}</div>'


def _tokens_card(csrf: str, held: list[AccessToken]) -> str:
    columns = "".join(f"<th{_seen(index)}>{column}</th>" for index, column in enumerate(texts.TOKEN_COLUMNS))
    rows = "".join(_token_row(csrf, token) for token in held)
    table = f"<table><tr>{columns}</tr>{rows}</table>" if held else f'<p class="soft">{texts.NO_TOKENS}</p>'
    box = _box(texts.LABEL, "label", "off", more=f" maxlength={MAX_LABEL_LENGTH}")
    make = _form("account", csrf, _hidden("do", "make") + box, texts.MAKE_TOKEN)
    return f'<div class="card"><h2>{texts.TOKENS}</h2><p class="soft">{texts.TOKENS_HINT}</p>{table}{make}</div>'


def _token_row(csrf: str, token: AccessToken) -> str:
    used = f"{token.used_at:%Y-%m-%d %H:%M}" if token.used_at else texts.NEVER_USED
    about = escape(texts.REVOKE_ONE.format(label=token.label))
    inside = _hidden("do", "revoke") + _hidden("token_id", token.token_id)
    form = _form("account", csrf, inside, texts.REVOKE, quiet=True, about=about)
    return (
        f"<tr><td>{escape(token.label)}</td><td{_seen(1)}>{token.created_at:%Y-%m-%d}</td>"
        f"<td{_seen(2)}>{used}</td><td>{form}</td></tr>"
    )


def _seen(place: int) -> str:
    """Columns that a phone has no room for."""
    return ' class="seen"' if place in (1, 2) else ""


def _form(action: str, csrf: str, inside: str, button: str, *, quiet: bool = False, about: str = "") -> str:
    look = ' class="quiet"' if quiet else ""
    label = f' aria-label="{about}"' if about else ""
    return (
        f'<form method="post" action="{action}">{_hidden("csrf", csrf)}{inside}'
        f"<button{look}{label}>{button}</button></form>"
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _box(label: str, name: str, complete: str, *, kind: str = "text", value: str = "", more: str = "") -> str:
    most = MAX_PASSWORD if kind == "password" else 100
    return (
        f'<label>{label}<input type="{kind}" name="{name}" value="{escape(value)}" autocomplete="{complete}" required '
        f'maxlength="{most}" autocapitalize="none" spellcheck="false"{more}></label>'
    )


def _notes(told: str, wrong: str) -> str:
    good = f'<p class="told" role="status">{escape(told)}</p>' if told else ""
    return good + (f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else "")


def _back() -> str:
    return f'<p><a href="./">{texts.BACK}</a></p>'
