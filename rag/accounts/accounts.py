"""People who may come in: name, role and password in SQL; of a password only its Argon2 hash is kept."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.engine import Connection

from rag.database.schema import read_connection
from rag.database.user_tables import people, sessions
from rag.errors import NotFoundError, UsageError
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import utc_now

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Role = Literal["reader", "voter", "administrator"]
"""Each may do what those before it may: ask and read; judge passages and answers; change documents and versions."""
ROLES: tuple[str, ...] = get_args(Role)

MIN_PASSWORD, MAX_PASSWORD = 10, 1000  # characters; NIST SP 800-63B asks for 8, and to take at least 64
RESERVED_NAMES = frozenset({"local", "forgotten"})
"""Who sits at this machine, and whose questions stay without a name: nobody may be called so."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_PLAIN_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"  # no i, l, o, 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person as the database knows them."""

    name: str
    role: Role
    created_at: datetime
    is_locked: bool
    has_password: bool


class Accounts:
    """The people of one database. Names are kept in small letters, so nobody passes for another by a capital."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add(self, name: str, role: str, password: str | None = None) -> Account:
        """Adds somebody; without a *password* they come in by a token, or through a proxy, only.

        Raises:
            UsageError: the name, the role or the password is refused, or somebody has the name.
        """
        name, role = _named(name), _role(role)
        row = {"name": name, "role": role, "password_hash": _hash_of(password), "created_at": utc_now().isoformat()}
        with self.engine.begin() as connection:
            if connection.scalar(select(people.c.name).where(people.c.name == name)):
                raise UsageError(f'{name!r} has an account already: "nightjar accounts list" shows all of them')
            connection.execute(insert(people), row)
        return self.get(name)

    def get(self, name: str) -> Account:
        """One person.

        Raises:
            NotFoundError: nobody has this name.
        """
        with read_connection(self.engine) as connection:
            row = connection.execute(select(people).where(people.c.name == normalise_name(name))).first()
        if row is None:
            raise _nobody(name)
        return account_from_row(row._mapping)

    def find(self, name: str) -> Account | None:
        """One person, or None if nobody has this name."""
        try:
            return self.get(name)
        except NotFoundError:
            return None

    def all(self) -> list[Account]:
        """Everybody, by name."""
        with read_connection(self.engine) as connection:
            rows = connection.execute(select(people).order_by(people.c.name)).all()
        return [account_from_row(row._mapping) for row in rows]

    def has_administrator(self) -> bool:
        """Whether there is an administrator who is not locked."""
        return any(account.role == "administrator" and not account.is_locked for account in self.all())

    def authenticate(self, name: str, password: str) -> Account | None:
        """Who signs in with this name and password; None if they do not belong together.

        A name that nobody has costs as much work as one that somebody has. The account may be locked.
        """
        with read_connection(self.engine) as connection:
            query = select(people).where(people.c.name == normalise_name(name))
            row = connection.execute(query).first() if len(name) < 100 else None
        kept = row.password_hash if row and row.password_hash else _of_nobody()
        if not _fits(kept, password) or row is None or not row.password_hash:
            return None
        if _hasher().check_needs_rehash(kept):  # written with weaker parameters than today's
            self._change(row.name, password_hash=_hash_of(password))
        return account_from_row(row._mapping)

    def set_password(self, name: str, password: str) -> None:
        """Gives somebody another password, and ends all their sessions.

        Raises:
            NotFoundError: nobody has this name.
            UsageError: the password is refused.
        """
        self._change(name, signs_out=True, password_hash=_hash_of(password))

    def set_role(self, name: str, role: str) -> None:
        """Lets somebody do more or less; it holds from their next request on.

        Raises:
            NotFoundError: nobody has this name.
            UsageError: the role is unknown, or they are the last administrator.
        """
        self._change(name, role=_role(role))

    def lock(self, name: str) -> None:
        """Lets somebody in no more, by no way; what they asked and said stays.

        Raises:
            NotFoundError: nobody has this name.
            UsageError: they are the last administrator.
        """
        self._change(name, signs_out=True, locked_at=utc_now().isoformat())

    def unlock(self, name: str) -> None:
        """Lets somebody in again.

        Raises:
            NotFoundError: nobody has this name.
        """
        self._change(name, locked_at=None)

    def _change(self, name: str, *, signs_out: bool = False, **values: Any) -> None:
        name = normalise_name(name)
        with self.engine.begin() as connection:
            if values.get("role", "administrator") != "administrator" or values.get("locked_at"):
                check_not_last_administrator(connection, name)
            if not connection.execute(update(people).where(people.c.name == name).values(**values)).rowcount:
                raise _nobody(name)
            if signs_out:
                connection.execute(delete(sessions).where(sessions.c.name == name))


def check_not_last_administrator(connection: Connection, name: str) -> None:
    """Refuses what would leave nobody to look after the others.

    Raises:
        UsageError: *name* is the last administrator who is not locked.
    """
    looked_after = (people.c.role == "administrator") & people.c.locked_at.is_(None)
    # Locked until the transaction ends, so that two of them can't make each other the last at the same time.
    administrators = set(connection.scalars(select(people.c.name).where(looked_after).with_for_update()))
    if administrators == {name}:
        raise UsageError(
            f"{name!r} is the last administrator, who must stay: make somebody else one first, with "
            '"nightjar accounts role NAME administrator"'
        )


def account_from_row(row: Any) -> Account:
    """A row of the table `people` as a record."""
    return Account(
        name=row["name"],
        role=row["role"],
        created_at=datetime.fromisoformat(row["created_at"]),
        is_locked=row["locked_at"] is not None,
        has_password=bool(row["password_hash"]),
    )


def normalise_name(name: str) -> str:
    """A name as it is compared.

    >>> normalise_name(" Ann ")
    'ann'
    """
    return replace_unstorable(name).strip().casefold()


def _nobody(name: str) -> NotFoundError:
    return NotFoundError(f'nobody is called {name!r}: "nightjar accounts list" shows who has an account')


def _named(name: str) -> str:
    small = normalise_name(name)
    if not _NAME.fullmatch(small) or small in RESERVED_NAMES:
        raise UsageError(
            f"the name {name!r} is refused: use 1 to 64 letters without accents, digits, and . _ - + @, "
            f"beginning with a letter or digit, and none of {', '.join(sorted(RESERVED_NAMES))}"
        )
    return small


def _role(role: str) -> str:
    if role not in ROLES:
        raise UsageError(f"role {role!r} does not exist: use one of {', '.join(ROLES)}")
    return role


# ---- passwords


def check_password(password: str) -> None:
    """Raises:
    UsageError: the password is too short or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise UsageError(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD:,} characters, this one {len(password):,}: "
            "four words that have nothing to do with each other are a good one"
        )


def generate_password() -> str:
    """A new password of 99 random bits in four groups, without signs that look like others.

    >>> len(generate_password()), MIN_PASSWORD <= len(generate_password()) <= MAX_PASSWORD
    (23, True)
    """
    return "-".join("".join(secrets.choice(_PLAIN_SIGNS) for _ in range(5)) for _ in range(4))


def _hash_of(password: str | None) -> str:
    """Returns the hash of a password; "" if there is none, which no password fits."""
    if password is None:
        return ""
    check_password(password)
    return _hasher().hash(password.encode("utf-8", "backslashreplace"))


def _fits(kept: str, password: str) -> bool:
    from argon2.exceptions import VerifyMismatchError

    try:
        return _hasher().verify(kept, password[:MAX_PASSWORD].encode("utf-8", "backslashreplace"))
    except VerifyMismatchError:
        return False


@lru_cache
def _hasher() -> PasswordHasher:
    """Argon2id as RFC 9106 recommends it if memory is short: 64 MiB, 3 passes; 0.1 s on two cores."""
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache
def _of_nobody() -> str:
    """A hash that takes the work of a real one, and that no password fits."""
    return _hasher().hash(secrets.token_bytes(32))
