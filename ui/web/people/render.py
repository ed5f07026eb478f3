"""People, their sessions and tokens → what the page of people shows. Everything that somebody wrote is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rag.accounts.account_listing import ListedAccount
from rag.accounts.sessions_and_tokens import AccessToken, BrowserSession
from ui.auth.current_user import CurrentUser
from ui.texts import people as texts
from ui.web.components.escape import escape_html
from ui.web.training.render_night import format_moment


def render_people_headings() -> str:
    """The names of the columns, as HTML."""
    names = "".join(f"<span>{name}</span>" for name in texts.COLUMNS)
    return f'<div class="nj-human-columns" aria-hidden="true">{names}</div>'


def people_cells(one: ListedAccount, person: CurrentUser) -> str:
    """The other columns of a person's row, as HTML; *person* is who looks."""
    account = one.account
    shown = [
        f'<span class="nj-role nj-role-{account.role}">{account.role}{_marks(one, person)}</span>',
        f'<span class="nj-day"><span class="nj-unit">{texts.SINCE} </span>{account.created_at:%Y-%m-%d}</span>',
        f'<span class="nj-day"><span class="nj-unit">{texts.SEEN}: </span>{_seen(one.seen_at)}</span>',
        _number(one.n_sessions, texts.BROWSERS),
        _number(one.n_tokens, texts.TOKENS_HELD),
    ]
    return f'<div class="nj-cells">{"".join(shown)}</div>'


def _marks(one: ListedAccount, person: CurrentUser) -> str:
    marks = [texts.YOU] if one.account.name == person.name else []
    marks += [texts.NO_PASSWORD] if not one.account.has_password else []
    told = "".join(f' <span class="nj-mark">{mark}</span>' for mark in marks)
    return told + (f' <span class="nj-mark nj-locked">{texts.LOCKED}</span>' if one.account.is_locked else "")


def _seen(at: datetime | None) -> str:
    return format_moment(at) if at else texts.NEVER


def _number(n: int, names: tuple[str, str]) -> str:
    if not n:
        return f'<span class="nj-number nj-nought">{texts.NOUGHT}</span>'
    return f'<span class="nj-number">{n:,}<span class="nj-unit"> {names[n != 1]}</span></span>'


# ---- one person


def render_person_head(one: ListedAccount, person: CurrentUser) -> str:
    """Name, role and when they were seen, as HTML."""
    account = one.account
    facts = [
        f"{account.role}{_marks(one, person)}",
        texts.SINCE_DAY.format(day=f"{account.created_at:%Y-%m-%d}"),
        texts.SEEN_AT.format(at=format_moment(one.seen_at)) if one.seen_at else texts.SEEN_NEVER,
    ]
    return f'<h2 class="nj-title">{escape_html(account.name)}</h2><div class="nj-meta">{" · ".join(facts)}</div>'


def render_sessions(sessions: Sequence[BrowserSession]) -> str:
    """Browsers that are signed in, as HTML."""
    rows = [(format_moment(session.began_at), format_moment(session.ends_at)) for session in sessions]
    return _table(texts.SESSION_COLUMNS, rows, texts.NO_SESSIONS)


def render_tokens(tokens: Sequence[AccessToken]) -> str:
    """Tokens that hold, as HTML."""
    rows = [(escape_html(token.label), f"{token.created_at:%Y-%m-%d}", _seen(token.used_at)) for token in tokens]
    return _table(texts.TOKEN_COLUMNS, rows, texts.NO_TOKENS)


def token_choices(tokens: Sequence[AccessToken]) -> list[tuple[str, str]]:
    """Tokens to choose from: what each is called, and its id."""
    return [
        (texts.A_TOKEN.format(label=token.label, day=f"{token.created_at:%Y-%m-%d}"), token.token_id)
        for token in tokens
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> str:
    """*rows* are HTML."""
    if not rows:
        return f'<p class="nj-hint">{none}</p>'
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="nj-held"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
