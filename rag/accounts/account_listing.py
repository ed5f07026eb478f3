"""The list of people for whoever looks after them: their accounts, what they hold, and when they were last seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from rag.accounts.accounts import Account, account_from_row, normalise_name
from rag.database.schema import read_connection, verdict_events
from rag.database.user_tables import conversations, people, sessions, tokens
from rag.records import utc_now


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """A person as the list shows them."""

    account: Account
    n_sessions: int
    """Browsers that are signed in now."""
    n_tokens: int
    """That still hold."""
    seen_at: datetime | None
    """The last time that they signed in, asked, judged or sent a token, as far as that is kept; None: never."""


class AccountListing:
    """Reads only, a page at a time: a proxy may have brought thousands."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, name_part: str, n: int, offset: int = 0) -> tuple[list[ListedAccount], int]:
        """Up to *n* people by name, from *offset* on, whose name holds *name_part*; and how many there are of them."""
        those = people.c.name.contains(normalise_name(name_part), autoescape=True)
        with read_connection(self._engine) as connection:
            n_all = int(connection.scalar(select(func.count()).select_from(people).where(those)) or 0)
            query = _listed().where(those).order_by(people.c.name).limit(n).offset(offset)
            return [_of(row._mapping) for row in connection.execute(query)], n_all

    def one(self, name: str) -> ListedAccount | None:
        """One person; None if nobody has this name."""
        with read_connection(self._engine) as connection:
            row = connection.execute(_listed().where(people.c.name == normalise_name(name))).first()
        return _of(row._mapping) if row else None


def _listed() -> Any:
    """Each look next to the account is one into an index of that person's rows."""
    theirs = tokens.c.name == people.c.name
    signed_in = (sessions.c.name == people.c.name) & (sessions.c.expires_at > utc_now().isoformat())
    holds = theirs & tokens.c.revoked_at.is_(None)
    return select(
        people,
        select(func.count()).select_from(sessions).where(signed_in).scalar_subquery().label("n_sessions"),
        select(func.count()).select_from(tokens).where(holds).scalar_subquery().label("n_tokens"),
        _latest(sessions.c.created_at, sessions.c.name).label("signed_in_at"),
        _latest(tokens.c.used_at, tokens.c.name).label("sent_at"),
        _latest(conversations.c.changed_at, conversations.c.user).label("asked_at"),
        _latest(verdict_events.c.given_at, verdict_events.c.user).label("judged_at"),
    )


def _latest(time: Any, whose: Any) -> Any:
    return select(func.max(time)).where(whose == people.c.name).scalar_subquery()


def _of(row: Any) -> ListedAccount:
    times = [row[name] for name in ("signed_in_at", "sent_at", "asked_at", "judged_at") if row[name]]
    seen_at = max(map(datetime.fromisoformat, times), default=None)
    return ListedAccount(account_from_row(row), row["n_sessions"], row["n_tokens"], seen_at)
