"""An answer as it was given: what a page shows of it next to its text, kept with the turn and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from rag.database.schema import read_connection, shown_passages, turns
from rag.database.sql_batches import SQL_BATCH, batched
from rag.library.library import Library
from rag.records import Answer, CheckedSentence, Citation, Hit, Passage

UNKNOWN_INDEX_STATE = "absent"
"""The index's state in turns from before it was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """One exchange of a conversation, as it was."""

    answer: Answer
    """Its citations are those whose passage is still in the library."""
    asked_at: datetime
    index_state: str
    """How the index was when it was asked; see `rag.index.serving_index.State`."""
    instead_of: str
    """The turn that this one asks again, or in other words; empty if it does not."""
    removed: frozenset[str]
    """Ids of passages that were shown, and have gone from the library since: of these hits nothing but scores is left."""


def to_row(answer: Answer, index_state: str, instead_of: str = "") -> str:
    """What a page needs to show the answer again, as JSON."""
    read = {hit.passage.passage_id: hit.rerank for hit in answer.hits if hit.rerank is not None}
    lifts = {hit.passage.passage_id: hit.feedback_boost for hit in answer.hits if hit.feedback_boost}
    also = {
        hit.passage.passage_id: [duplicate.passage_id for duplicate in hit.also_in]
        for hit in answer.hits
        if hit.also_in
    }
    return json.dumps(
        {
            "reason": answer.reason,
            "seconds": answer.seconds,
            "index": index_state,
            "rerank_cut": answer.rerank_is_cut,
            "fell_back": answer.fell_back,
            "citations": [asdict(citation) for citation in answer.citations],
            "checked": [[sentence.text, sentence.support] for sentence in answer.sentences],
            "supported_share": answer.supported_share,
            "instead_of": instead_of,
            "rerank": read,
            "lifts": lifts,
            "also_in": also,
        }
    )


def load_answers(library: Library, turn_ids: Sequence[str]) -> list[StoredAnswer]:
    """The exchanges with these ids, in this order; absent ones are left out. Passages are those of the library today."""
    with read_connection(library.engine) as connection:
        rows = {row["turn_id"]: row for row in _rows(connection, turns, turn_ids)}
        seen = _rows(connection, shown_passages, turn_ids)
    details = {turn_id: json.loads(row["details"] or "{}") for turn_id, row in rows.items()}
    also = {turn_id for detail in details.values() for ids in detail.get("also_in", {}).values() for turn_id in ids}
    passages = library.get(sorted({row["passage_id"] for row in seen} | also))
    by_turn: dict[str, list[Mapping[Any, Any]]] = {}
    for row in sorted(seen, key=lambda row: row["rank"]):
        by_turn.setdefault(row["turn_id"], []).append(row)
    return [
        _kept(rows[turn_id], details[turn_id], by_turn.get(turn_id, []), passages)
        for turn_id in turn_ids
        if turn_id in rows
    ]


def _rows(connection: Connection, table: Any, turn_ids: Sequence[str]) -> list[Mapping[Any, Any]]:
    return [
        row._mapping
        for batch in batched(turn_ids, SQL_BATCH)
        for row in connection.execute(select(table).where(table.c.turn_id.in_(batch)))
    ]


def _kept(
    row: Mapping[Any, Any], kept: Mapping[str, Any], seen: Sequence[Mapping[Any, Any]], passages: Mapping[str, Passage]
) -> StoredAnswer:
    hits = tuple(_hit(shown_hit, kept, passages) for shown_hit in seen)
    removed = frozenset(hit.passage.passage_id for hit in hits if hit.passage.passage_id not in passages)
    citations = tuple(
        Citation(**citation) for citation in kept.get("citations", []) if citation["passage_id"] in passages
    )
    answer = Answer(
        turn_id=row["turn_id"],
        question=row["question"],
        text=row["answer"],
        declined=bool(row["declined"]),
        reason=kept.get("reason", ""),
        encoder_id=row["encoder_id"],
        citations=citations,
        hits=hits,
        seconds=kept.get("seconds", 0.0),
        asked=row["asked"] or row["question"],
        sentences=tuple(CheckedSentence(text, support) for text, support in kept.get("checked", [])),
        rerank_is_cut=kept.get("rerank_cut", False),
        fell_back=kept.get("fell_back", False),
    )
    asked_at = datetime.fromisoformat(row["asked_at"])
    return StoredAnswer(
        answer=answer,
        asked_at=asked_at,
        index_state=kept.get("index", UNKNOWN_INDEX_STATE),
        instead_of=kept.get("instead_of", ""),
        removed=removed,
    )


def _hit(one: Mapping[Any, Any], kept: Mapping[str, Any], passages: Mapping[str, Passage]) -> Hit:
    passage_id = one["passage_id"]
    passage = passages.get(passage_id) or Passage(
        passage_id=passage_id, document_id="", source="", title="", heading="", text="", start=0, end=0
    )
    also = tuple(
        passages[duplicate] for duplicate in kept.get("also_in", {}).get(passage_id, []) if duplicate in passages
    )
    return Hit(
        passage=passage,
        rank=one["rank"],
        score=one["score"],
        dense=one["dense"],
        lexical=one["lexical"],
        feedback_boost=kept.get("lifts", {}).get(passage_id, 0.0),
        rerank=kept.get("rerank", {}).get(passage_id),
        also_in=also,
    )
