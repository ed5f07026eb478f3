"""People, their sessions and tokens → what the page of people shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rag.accounts.account_listing import ListedAccount
from rag.accounts.sessions_and_tokens import AccessToken, BrowserSession
from ui.auth.current_user import CurrentUser
from ui.html.fragments import render_fragment
from ui.texts import people as texts
from ui.web.training.render_night import format_moment


def render_people_headings() -> str:
    """Renders the names of the columns."""
    return render_fragment("people/headings.html.j2", columns=texts.COLUMNS)


def people_cells(listed: ListedAccount, person: CurrentUser) -> str:
    """Renders the other columns of a person's row; *person* is who looks."""
    return render_fragment(
        "people/cells.html.j2",
        account=listed.account,
        person=person,
        since=f"{listed.account.created_at:%Y-%m-%d}",
        seen=_seen(listed.seen_at),
        n_sessions=listed.n_sessions,
        n_tokens=listed.n_tokens,
        texts=texts,
    )


def _seen(at: datetime | None) -> str:
    return format_moment(at) if at else texts.NEVER


# ---- one person


def render_person_head(listed: ListedAccount, person: CurrentUser) -> str:
    """Renders a person's name, role and when they were seen."""
    return render_fragment(
        "people/head.html.j2",
        account=listed.account,
        person=person,
        since=f"{listed.account.created_at:%Y-%m-%d}",
        seen=texts.SEEN_AT.format(at=format_moment(listed.seen_at)) if listed.seen_at else texts.SEEN_NEVER,
        texts=texts,
    )


def render_sessions(sessions: Sequence[BrowserSession]) -> str:
    """Renders the browsers that are signed in."""
    rows = [(format_moment(session.began_at), format_moment(session.ends_at)) for session in sessions]
    return _table(texts.SESSION_COLUMNS, rows, texts.NO_SESSIONS)


def render_tokens(tokens: Sequence[AccessToken]) -> str:
    """Renders the valid tokens."""
    rows = [(token.label, f"{token.created_at:%Y-%m-%d}", _seen(token.used_at)) for token in tokens]
    return _table(texts.TOKEN_COLUMNS, rows, texts.NO_TOKENS)


def token_choices(tokens: Sequence[AccessToken]) -> list[tuple[str, str]]:
    """Tokens to choose from: what each is called, and its id."""
    return [
        (texts.A_TOKEN.format(label=token.label, day=f"{token.created_at:%Y-%m-%d}"), token.token_id)
        for token in tokens
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> str:
    return render_fragment("people/table.html.j2", columns=columns, rows=rows, when_empty=none)
