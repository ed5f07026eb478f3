"""How often passages were judged and cited: the verdicts that are on them, and the answers that quote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Select, Subquery, case, func, select
from sqlalchemy.engine import Connection

from rag.database.schema import passages, shown_passages, verdict_events
from rag.database.sql_batches import SQL_BATCH, batched
from rag.feedback.feedback_store import WITHDRAWN_VERDICT

VERDICTS_BY_COLUMN = {"helpful": ("helpful", "pin"), "not_relevant": ("not_relevant",), "outdated": ("outdated",)}
"""Name of a count → the verdicts that it counts."""


@dataclass(frozen=True, slots=True)
class PassageTally:
    """What became of a passage, or of all passages of a document."""

    helpful: int = 0
    """Standing verdicts "helpful" and "this is the right passage"."""
    not_relevant: int = 0
    outdated: int = 0
    cited: int = 0
    """Answers that cite it, each passage counted for itself."""


def select_standing_verdicts(among: Select[Any] | Sequence[str] | None = None) -> Subquery:
    """Columns passage_id, user and verdict of every standing verdict on a passage; *among* these passage ids."""
    event = verdict_events.c
    named = event.passage_id != "" if among is None else event.passage_id.in_(among)
    latest = select(func.max(event.event_id)).where(named).group_by(event.user, event.turn_id, event.passage_id)
    return (
        select(event.passage_id, event.user, event.verdict)
        .where(event.event_id.in_(latest), event.verdict != WITHDRAWN_VERDICT)
        .subquery("standing")
    )


def select_verdict_counts(by: Column[str], among: Select[Any] | Sequence[str] | None = None) -> Subquery:
    """Columns key, helpful, not_relevant and outdated, a row for each value of *by*, a column of `passages`."""
    said = select_standing_verdicts(among)
    counts = [
        func.sum(case((said.c.verdict.in_(kinds), 1), else_=0)).label(name)
        for name, kinds in VERDICTS_BY_COLUMN.items()
    ]
    on = passages.c.passage_id == said.c.passage_id
    return select(by.label("key"), *counts).select_from(said).join(passages, on).group_by(by).subquery("judged")


def select_citation_counts(by: Column[str], among: Select[Any] | Sequence[str] | None = None) -> Subquery:
    """Columns key and cited, a row for each value of *by*, a column of `passages`."""
    query = select(by.label("key"), func.count().label("cited")).select_from(shown_passages)
    query = query.join(passages, passages.c.passage_id == shown_passages.c.passage_id).where(
        shown_passages.c.cited == 1
    )
    return (
        (query if among is None else query.where(shown_passages.c.passage_id.in_(among)))
        .group_by(by)
        .subquery("quoted")
    )


def load_tallies(connection: Connection, by: Column[str], keys: Sequence[str]) -> dict[str, PassageTally]:
    """Key → its tally, for some values of *by*, a column of `passages`; those without any are left out."""
    found: dict[str, dict[str, int]] = {}
    for batch in batched(keys, SQL_BATCH):
        among = select(passages.c.passage_id).where(by.in_(batch))
        for counted in (select_verdict_counts(by, among), select_citation_counts(by, among)):
            for row in connection.execute(select(counted)).mappings():
                found.setdefault(row["key"], {}).update({name: int(row[name]) for name in row if name != "key"})
    return {key: PassageTally(**counts) for key, counts in found.items()}
