"""Gaps of the library: questions that found nothing, gathered by what they ask. Nothing of them is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Engine, Select, func, select

from rag.arrays import FloatArray
from rag.database.schema import read_connection, turns, verdict_events
from rag.database.sql_batches import SQL_BATCH, batched
from rag.embedding.protocols import VersionQueryEncoder
from rag.embedding.query_vectors import get_query_vectors
from rag.text.term_coverage import idf_weights, stem
from rag.text.tokenize import tokenize

MAX_TURNS = 2_000  # the latest ones that are looked at
MAX_QUESTIONS = 500  # different ones, the latest: encoding them takes two to three seconds of a core
MIN_GROUP_COSINE = 0.55
"""The least cosine of any two questions of a gap: chosen by benchmark, see decision 0044."""
N_NAME_WORDS = 3  # of a name

FindNearest = Callable[[FloatArray, int], list[list[tuple[str, float]]]]
"""`(q, dim)` and k → for each row up to k (passage id, cosine), best first: an index's search."""


@dataclass(frozen=True, slots=True)
class UnansweredTurn:
    """A turn that found nothing."""

    question: str
    user: str
    asked_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeGap:
    """Questions that ask for nearly the same, and found nothing."""

    name: str
    """Its most common words."""
    questions: tuple[str, ...]
    """Different ones, the latest first."""
    n_asked: int
    n_people: int
    last_at: str
    passage_id: str = ""
    """The passage that is nearest in meaning to the question in their middle; empty in an empty library."""
    cosine: float = 0.0


def load_unanswered_turns(engine: Engine, user: str | None = None) -> list[UnansweredTurn]:
    """Turns that found nothing, the latest first; with *user* only that person's.

    Those that declined, whose answer somebody called not in the documents, or from a wrong source without naming the
    right passage. A question that was asked again and answered without complaint is no longer one.
    """
    of_user = turns.c.user == user if user is not None else turns.c.user == turns.c.user
    asked = select(turns.c.question, turns.c.user, turns.c.asked_at).where(turns.c.origin == "asked", of_user)
    wrong = turns.c.turn_id.in_(_turns_judged("answer_wrong_source")) & turns.c.turn_id.not_in(_turns_judged("pin"))
    nothing = (turns.c.declined == 1) | turns.c.turn_id.in_(_turns_judged("answer_not_in_documents")) | wrong
    with read_connection(engine) as connection:
        rows = connection.execute(asked.where(nothing).order_by(turns.c.asked_at.desc()).limit(MAX_TURNS)).all()
        last_of: dict[str, str] = {}
        for batch in batched(list({row.question for row in rows}), SQL_BATCH):
            latest = select(turns.c.question, func.max(turns.c.asked_at)).where(turns.c.question.in_(batch), of_user)
            found = connection.execute(latest.where(turns.c.origin == "asked").group_by(turns.c.question))
            last_of.update({row[0]: row[1] for row in found})
    missing = {row.question for row in rows if row.asked_at == last_of[row.question]}
    return [UnansweredTurn(row.question, row.user, row.asked_at) for row in rows if row.question in missing]


def _turns_judged(verdict: str) -> Select[tuple[str]]:
    """Ids of the turns on which a verdict is."""
    event = verdict_events.c
    on = select(event.turn_id).where(event.verdict == verdict)
    latest = select(func.max(event.event_id)).where(event.turn_id.in_(on))
    latest = latest.group_by(event.user, event.turn_id, event.passage_id)
    return select(event.turn_id).where(event.event_id.in_(latest), event.verdict == verdict)


def find_gaps(
    engine: Engine, encoder: VersionQueryEncoder, nearest: FindNearest, user: str | None = None, n: int = 20
) -> list[KnowledgeGap]:
    """The *n* largest gaps, by people and then by times asked; with *user* only of that person's questions.

    Questions are encoded in passing: none is kept that was only typed.
    """
    turned_away = load_unanswered_turns(engine, user)
    questions = list(dict.fromkeys(row.question for row in turned_away))[:MAX_QUESTIONS]
    if not questions:
        return []
    vectors = get_query_vectors(engine, encoder, questions, unstored=questions)
    weights = idf_weights(set(tokenize(question)) for question in questions)
    found = []
    for rows in group_by_cosine(vectors):
        some = [questions[row] for row in rows]
        found.append((_gap(some, turned_away, weights), vectors[_middle(vectors, rows)]))
    found.sort(key=lambda one: (one[0].n_people, one[0].n_asked, one[0].last_at), reverse=True)
    hits = nearest(np.stack([middle for _, middle in found[:n]]), 1)
    return [
        replace(gap, passage_id=best[0][0], cosine=best[0][1]) if best else gap
        for (gap, _), best in zip(found[:n], hits, strict=True)
    ]


def _gap(questions: Sequence[str], turned_away: Sequence[UnansweredTurn], weights: Mapping[str, float]) -> KnowledgeGap:
    of_these = [row for row in turned_away if row.question in set(questions)]
    people = {row.user for row in of_these}
    return KnowledgeGap(
        name=name_group(questions, weights),
        questions=tuple(questions),
        n_asked=len(of_these),
        n_people=len(people),
        last_at=of_these[0].asked_at,
    )


def group_by_cosine(vectors: FloatArray) -> list[list[int]]:
    """Rows of `(n, dim)` unit vectors, gathered so that any two of a group have a cosine of ALIKE or more.

    Complete linkage (Sørensen, 1948): no chain of questions, each near the next, joins what asks for different things.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(vectors) < 2:
        return [[row] for row in range(len(vectors))]
    tree = linkage(vectors.astype(np.float64), "complete", metric="cosine")
    groups: dict[int, list[int]] = {}
    for row, group in enumerate(fcluster(tree, 1 - MIN_GROUP_COSINE, "distance")):
        groups.setdefault(int(group), []).append(row)
    return list(groups.values())


def _middle(vectors: FloatArray, rows: Sequence[int]) -> int:
    """The row that is nearest to all of *rows* together."""
    of_these = vectors[rows]
    return rows[int(np.argmax(of_these @ of_these.sum(axis=0)))]


def name_group(questions: Sequence[str], weights: Mapping[str, float]) -> str:
    """The words that most of the questions share, rarer ones among all questions first, in their most common spelling.

    >>> name_group(["Where do I park?", "Is parking free?", "May I park here?"], {"park": 1.0, "parking": 1.0, "free": 2.0})
    'park'
    """
    spelled: dict[str, Counter[str]] = {}
    weight: dict[str, float] = {}
    for question in questions:
        for word in dict.fromkeys(tokenize(question)):
            spelled.setdefault(stem(word), Counter())[word] += 1
            weight[stem(word)] = weights.get(word, 1.0)
    counts = {word: spellings.total() for word, spellings in spelled.items()}
    shared = [word for word, count in counts.items() if count > 1] or list(counts)
    first = sorted(shared, key=lambda word: counts[word] * weight[word], reverse=True)[:N_NAME_WORDS]
    return " · ".join(spelled[word].most_common(1)[0][0] for word in first) or questions[0]
