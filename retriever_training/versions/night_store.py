"""Nights in SQL: which ran, on what, how far they got, and what was decided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.engine import Connection

from rag.database.schema import nights, read_connection
from rag.records import utc_now
from retriever_training.versions.night_summary import NightDecision, NightSummary

STEPS_KEY = "steps"
"""The key of a night's steps in its stored summary; not part of the summary that a night returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightStep:
    """One step of a night."""

    stage: str
    name: str
    """The step in words; empty at the beginning of a stage."""
    total: int
    done: int
    """How many of *total* are done: passages, questions or training steps."""
    began_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRecord:
    """One night: running, ended or cut off."""

    night_id: str
    fingerprint: str
    tier: int
    stage: str
    decision: NightDecision | None
    """None while it runs or after it was killed."""
    candidate_id: str | None
    started_at: datetime
    finished_at: datetime | None
    summary: NightSummary | None
    """None while it runs or after it was killed."""
    steps: tuple[NightStep, ...] = ()
    """The steps that it has reported, in order."""


class NightStore:
    """Every night that was started."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def latest(self, fingerprint: str | None = None) -> NightRecord | None:
        """Returns the night that was started last, with this *fingerprint* if one is given."""
        query = select(nights).order_by(nights.c.started_at.desc()).limit(1)
        if fingerprint is not None:
            query = query.where(nights.c.fingerprint == fingerprint)
        with read_connection(self.engine) as connection:
            row = connection.execute(query).first()
        return _night(row._mapping) if row else None

    def n_decided_since(self, moment: datetime) -> int:
        """Counts the nights after *moment* that promoted or kept a version: each looked at the held-out questions."""
        query = (
            select(func.count())
            .select_from(nights)
            .where(nights.c.started_at > moment.isoformat(), nights.c.decision.in_(("promoted", "kept")))
        )
        with read_connection(self.engine) as connection:
            return int(connection.scalar(query) or 0)

    def newest(self, limit: int | None = None) -> list[NightRecord]:
        """Returns all nights, or the *limit* that were started last, the latest first."""
        query = select(nights).order_by(nights.c.started_at.desc()).limit(limit)
        with read_connection(self.engine) as connection:
            return [_night(row._mapping) for row in connection.execute(query)]

    def start(self, fingerprint: str, tier: int) -> NightRecord:
        """Starts a new night."""
        started = utc_now()
        night_id = started.strftime("%Y%m%dT%H%M%S") + "-" + fingerprint[:8]
        row = {
            "night_id": night_id,
            "fingerprint": fingerprint,
            "tier": tier,
            "stage": "started",
            "started_at": started.isoformat(),
            "summary": "{}",
        }
        with self.engine.begin() as connection:
            connection.execute(insert(nights), row)
        return NightRecord(
            night_id=night_id,
            fingerprint=fingerprint,
            tier=tier,
            stage="started",
            decision=None,
            candidate_id=None,
            started_at=started,
            finished_at=None,
            summary=None,
        )

    def enter(self, night_id: str, stage: str) -> None:
        """Stores which stage a night is in, so that pages can show it."""
        with self.engine.begin() as connection:
            connection.execute(update(nights).where(nights.c.night_id == night_id).values(stage=stage))

    def store_steps(self, night_id: str, steps: Sequence[NightStep]) -> None:
        """Stores what a running night has done so far, so that pages can show it."""
        stored = json.dumps({STEPS_KEY: [asdict(step) | {"began_at": step.began_at.isoformat()} for step in steps]})
        with self.engine.begin() as connection:
            is_running = (nights.c.night_id == night_id) & nights.c.decision.is_(None)
            connection.execute(update(nights).where(is_running).values(summary=stored))


def finish_night(connection: Connection, night_id: str, summary: NightSummary) -> None:
    """Writes how a night ended; in the caller's transaction, so that a promotion and its night are one."""
    before = connection.scalar(select(nights.c.summary).where(nights.c.night_id == night_id)) or "{}"
    stored = summary.as_json() | {STEPS_KEY: json.loads(before).get(STEPS_KEY, [])}
    values = {
        "decision": summary.decision,
        "candidate_id": summary.version,
        "stage": "finished",
        "finished_at": utc_now().isoformat(),
        "summary": json.dumps(stored, ensure_ascii=False),
    }
    connection.execute(update(nights).where(nights.c.night_id == night_id).values(**values))


def _night(row: Mapping[Any, Any]) -> NightRecord:
    finished = datetime.fromisoformat(row["finished_at"]) if row["finished_at"] else None
    stored = json.loads(row["summary"])
    steps = tuple(
        NightStep(**step | {"began_at": datetime.fromisoformat(step["began_at"])}) for step in stored.pop(STEPS_KEY, [])
    )
    return NightRecord(
        night_id=row["night_id"],
        fingerprint=row["fingerprint"],
        tier=row["tier"],
        stage=row["stage"],
        decision=row["decision"],
        candidate_id=row["candidate_id"],
        started_at=datetime.fromisoformat(row["started_at"]),
        finished_at=finished,
        summary=NightSummary.from_json(stored | {"decision": row["decision"]}) if row["decision"] else None,
        steps=steps,
    )
