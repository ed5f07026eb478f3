"""From candidates to training rows: how many of each source a question gets, and where every one came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retriever_training.negatives import FINDERS
from retriever_training.negatives.denoise import clean
from retriever_training.negatives.mine import Candidate, Mine, Mined, View

POOL = 20  # candidates asked of each source before cleaning
QUOTAS: Mapping[str, int] = {"feedback": 2, "dense": 1, "bm25": 1, "random": 1}
"""How many of each source a row gets at most."""


@dataclass(frozen=True, slots=True)
class Row:
    """One training row: a question, a right passage, and negatives with their provenance."""

    question: str
    positive_id: str
    weight: float
    negatives: tuple[Candidate, ...]


def mine_all(
    mine: Mine, views: Sequence[View], texts: Sequence[str], finders: Sequence[str] = tuple(FINDERS), pool: int = POOL
) -> dict[str, list[Mined]]:
    """Every source's candidates for every question, cleaned: source → one `Mined` a question."""
    return {name: clean(mine, FINDERS[name](mine, pool), views, texts) for name in finders}


def choose(
    by_source: Mapping[str, Sequence[Mined]], row: int, n: int, quotas: Mapping[str, int] = QUOTAS
) -> list[Candidate]:
    """Up to *n* negatives for one question: each source up to its quota in the order of FINDERS, then what is left."""
    chosen: list[Candidate] = []
    taken: set[int] = set()
    for limit in (quotas, dict.fromkeys(by_source, n)):
        for source, mined in by_source.items():
            fresh = [candidate for candidate in mined[row].kept if candidate.passage not in taken]
            for candidate in fresh[: limit.get(source, 0)]:
                if len(chosen) < n:
                    chosen.append(candidate)
                    taken.add(candidate.passage)
    return chosen


def as_json(mine: Mine, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Rows as `nightjar mine` writes them: ids, and for each negative its source, rank and score."""
    for row in rows:
        yield {
            "query": row.question,
            "positive": row.positive_id,
            "weight": round(row.weight, 4),
            "negatives": [
                {"passage_id": mine.passage_ids[one.passage], "source": one.source, "rank": one.rank,
                 "score": round(one.score, 4)}
                for one in row.negatives
            ],
        }  # fmt: skip
