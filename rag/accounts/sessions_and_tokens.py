"""What proves who somebody is after the password: sessions of browsers and tokens of programs, kept as hashes only."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Select, delete, func, insert, select, update

from rag.accounts.accounts import Account, account_from_row
from rag.database.schema import read_connection
from rag.database.user_tables import people, sessions, tokens
from rag.errors import NotFoundError, UsageError
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import sha256_of, utc_now

TOKEN_PREFIX = "nj_"  # noqa: S105 - how every token begins, so that scanners find one in what was published
MAX_TOKENS = 50  # of one person that are not revoked
MAX_LABEL_LENGTH = 100  # characters
LAST_USED_INTERVAL = timedelta(minutes=1)
"""How exactly it is known when a token was used: a write for each request would be dear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token as its owner may see it; the secret itself is nowhere."""

    token_id: str
    name: str
    label: str
    created_at: datetime
    used_at: datetime | None
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A browser that is signed in."""

    began_at: datetime
    ends_at: datetime


class CredentialStore:
    """Sessions and tokens of one database. What a locked person holds proves nothing."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    # ---- sessions

    def begin_session(self, name: str, hours: float) -> str:
        """A new secret of 256 bits for a cookie, which proves for this many *hours* that its holder is *name*."""
        secret, since = secrets.token_urlsafe(32), utc_now()
        row = {
            "secret_sha256": sha256_of(secret),
            "name": name,
            "created_at": since.isoformat(),
            "expires_at": (since + timedelta(hours=hours)).isoformat(),
        }
        with self.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= since.isoformat()))
            connection.execute(insert(sessions), row)
        return secret

    def session_owner(self, secret: str) -> Account | None:
        """Whose session it is; None if there is none, or it has ended."""
        query = _holder(sessions).where(
            sessions.c.secret_sha256 == sha256_of(secret), sessions.c.expires_at > utc_now().isoformat()
        )
        with read_connection(self.engine) as connection:
            row = connection.execute(query).first()
        return account_from_row(row._mapping) if row else None

    def sessions(self, name: str) -> list[BrowserSession]:
        """Returns one person's sessions, newest first, without those that have ended."""
        query = select(sessions.c.created_at, sessions.c.expires_at).order_by(sessions.c.created_at.desc())
        open_ = query.where(sessions.c.name == name, sessions.c.expires_at > utc_now().isoformat())
        with read_connection(self.engine) as connection:
            return [BrowserSession(*map(datetime.fromisoformat, row)) for row in connection.execute(open_)]

    def end_session(self, secret: str) -> None:
        """Signs one browser out; nothing happens if there is no such session."""
        with self.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.secret_sha256 == sha256_of(secret)))

    def end_sessions(self, name: str) -> None:
        """Signs somebody out everywhere."""
        with self.engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.name == name))

    # ---- tokens

    def create_token(self, name: str, label: str) -> tuple[AccessToken, str]:
        """A new token for a program of *name*, and its secret, which is told this once.

        Raises:
            NotFoundError: nobody has this name.
            UsageError: the label is empty or too long, or there are too many tokens.
        """
        label, secret = replace_unstorable(label).strip(), TOKEN_PREFIX + secrets.token_urlsafe(32)
        if not 0 < len(label) <= MAX_LABEL_LENGTH:
            raise UsageError(
                f"a label of {len(label)} characters is refused: say in 1 to {MAX_LABEL_LENGTH} what it is for"
            )
        made = AccessToken(
            token_id=uuid.uuid4().hex[:12], name=name, label=label, created_at=utc_now(), used_at=None, is_revoked=False
        )
        with self.engine.begin() as connection:
            if connection.scalar(select(people.c.name).where(people.c.name == name)) is None:
                raise NotFoundError(f'nobody is called {name!r}: "nightjar accounts list" shows who has an account')
            held = (tokens.c.name == name) & tokens.c.revoked_at.is_(None)
            if int(connection.scalar(select(func.count()).select_from(tokens).where(held)) or 0) >= MAX_TOKENS:
                raise UsageError(f"{name!r} holds {MAX_TOKENS} tokens, which is the most: revoke one first")
            row = {"token_id": made.token_id, "secret_sha256": sha256_of(secret), "name": name, "label": label}
            connection.execute(insert(tokens), row | {"created_at": made.created_at.isoformat()})
        return made, secret

    def token_owner(self, secret: str) -> Account | None:
        """Whose token it is; None if there is none, or it was revoked."""
        if not secret.startswith(TOKEN_PREFIX):
            return None
        query = _holder(tokens).add_columns(tokens.c.token_id, tokens.c.used_at)
        query = query.where(tokens.c.secret_sha256 == sha256_of(secret), tokens.c.revoked_at.is_(None))
        with read_connection(self.engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        self._note_use(row.token_id, row.used_at)
        return account_from_row(row._mapping)

    def tokens(self, name: str | None = None) -> list[AccessToken]:
        """Tokens that were made, the newest first; those of one person if *name* says so."""
        query = select(tokens).order_by(tokens.c.created_at.desc())
        with read_connection(self.engine) as connection:
            return [_token(row._mapping) for row in connection.execute(query) if name in (None, row.name)]

    def revoke(self, token_id: str, name: str | None = None) -> None:
        """Ends a token at once; only one of *name*, if that is given.

        Raises:
            NotFoundError: no token that still holds has this id.
        """
        those = (tokens.c.token_id == replace_unstorable(token_id)) & tokens.c.revoked_at.is_(None)
        if name is not None:
            those &= tokens.c.name == name
        with self.engine.begin() as connection:
            if not connection.execute(update(tokens).where(those).values(revoked_at=utc_now().isoformat())).rowcount:
                raise NotFoundError(f'no token {token_id!r} that still holds: "nightjar tokens list" shows their ids')

    def _note_use(self, token_id: str, used_at: str | None) -> None:
        at = utc_now()
        if used_at is None or at - datetime.fromisoformat(used_at) >= LAST_USED_INTERVAL:
            with self.engine.begin() as connection:
                connection.execute(update(tokens).where(tokens.c.token_id == token_id).values(used_at=at.isoformat()))


def _holder(held: Any) -> Select[Any]:
    """Who holds a row of `sessions` or `tokens`, and may come in."""
    return select(people).join_from(held, people, held.c.name == people.c.name).where(people.c.locked_at.is_(None))


def _token(row: Any) -> AccessToken:
    used = datetime.fromisoformat(row["used_at"]) if row["used_at"] else None
    return AccessToken(
        token_id=row["token_id"],
        name=row["name"],
        label=row["label"],
        created_at=datetime.fromisoformat(row["created_at"]),
        used_at=used,
        is_revoked=row["revoked_at"] is not None,
    )
