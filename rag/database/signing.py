"""Proofs that a text comes from here: signed with a key that only this database holds."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import Engine, insert, select

from rag.database.schema import app_state, read_connection


def sign(engine: Engine, text: str) -> str:
    """The proof of a text, in 64 hexadecimal digits: always the same for the same database."""
    return hmac.new(_key(engine), _bytes(text), hashlib.sha256).hexdigest()


def is_valid_signature(engine: Engine, text: str, proof: str) -> bool:
    """Whether a proof is that of the text; how long it takes tells nothing of the right one."""
    return hmac.compare_digest(sign(engine, text).encode(), _bytes(proof))


def _bytes(text: str) -> bytes:
    """What comes from outside may hold halves of signs, which UTF-8 refuses."""
    return text.encode("utf-8", "backslashreplace")


def _key(engine: Engine) -> bytes:
    """Made at first use, and kept in the database."""
    query = select(app_state.c.value).where(app_state.c.name == "signing_key")
    with read_connection(engine) as connection:
        found = connection.scalar(query)
    if found is None:
        with engine.begin() as connection:
            found = connection.scalar(query)  # another process may have been first
            if found is None:
                found = secrets.token_hex(32)
                connection.execute(insert(app_state).values(name="signing_key", value=found))
    return bytes.fromhex(found)
