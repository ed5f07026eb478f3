"""Nights in SQL: which ran, on what, how far, and what was decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.engine import Connection

from rag.database import nights, reading
from rag.records import now


@dataclass(frozen=True, slots=True)
class Night:
    """One night, running, ended or cut off."""

    night_id: str
    fingerprint: str
    tier: int
    stage: str
    decision: str | None
    """promoted, kept or invalid; None while it runs or after it was killed."""
    candidate_id: str | None
    started_at: datetime
    finished_at: datetime | None
    summary: Mapping[str, Any]


class Nights:
    """Every night that was started."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def latest(self, fingerprint: str | None = None) -> Night | None:
        """The night that was started last, of this *fingerprint* where one is given."""
        query = select(nights).order_by(nights.c.started_at.desc()).limit(1)
        if fingerprint is not None:
            query = query.where(nights.c.fingerprint == fingerprint)
        with reading(self.engine) as connection:
            row = connection.execute(query).first()
        return _night(row._mapping) if row else None

    def n_decided_since(self, moment: datetime) -> int:
        """How many nights that began after *moment* promoted or kept a version: each looked at the held-out questions."""
        query = (
            select(func.count())
            .select_from(nights)
            .where(nights.c.started_at > moment.isoformat(), nights.c.decision.in_(("promoted", "kept")))
        )
        with reading(self.engine) as connection:
            return int(connection.scalar(query) or 0)

    def start(self, fingerprint: str, tier: int) -> Night:
        """A new night."""
        started = now()
        night_id = started.strftime("%Y%m%dT%H%M%S") + "-" + fingerprint[:8]
        row = {"night_id": night_id, "fingerprint": fingerprint, "tier": tier, "stage": "started",
               "started_at": started.isoformat(), "summary": "{}"}  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(insert(nights), row)
        return Night(night_id, fingerprint, tier, "started", None, None, started, None, {})

    def enter(self, night_id: str, stage: str) -> None:
        """Notes which stage a night is in, for whoever watches."""
        with self.engine.begin() as connection:
            connection.execute(update(nights).where(nights.c.night_id == night_id).values(stage=stage))


def finish(
    connection: Connection, night_id: str, decision: str, candidate_id: str | None, summary: Mapping[str, Any]
) -> None:
    """Writes a night's decision; in the caller's transaction, so that a promotion and its night are one."""
    values = {"decision": decision, "candidate_id": candidate_id, "stage": "finished", "finished_at": now().isoformat(),
              "summary": json.dumps(summary, ensure_ascii=False)}  # fmt: skip
    connection.execute(update(nights).where(nights.c.night_id == night_id).values(**values))


def _night(row: Mapping[Any, Any]) -> Night:
    finished = datetime.fromisoformat(row["finished_at"]) if row["finished_at"] else None
    return Night(row["night_id"], row["fingerprint"], row["tier"], row["stage"], row["decision"], row["candidate_id"],
                 datetime.fromisoformat(row["started_at"]), finished, json.loads(row["summary"]))  # fmt: skip
