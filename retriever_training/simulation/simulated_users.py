"""Simulated people who ask, read what is shown, and vote, with a given rate of mistakes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from eval.retrieval.evaluate import BatchLexicalSearch, rank_passages
from rag.arrays import FloatArray
from rag.database.sql_batches import batched
from rag.feedback.feedback_store import FeedbackStore
from rag.records import ShownPassage, Turn, Verdict
from rag.retrieval.fusion import normalise_bm25

TURNS_PER_TRANSACTION = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How people read and vote. The rates are probabilities, 0 to 1."""

    n_people: int = 20
    error: float = 0.2
    """The rate at which a person takes a wrong passage that is shown for right, or the right one for wrong."""
    rejects: float = 0.3
    """The rate at which a wrong passage that was read is marked as not relevant."""
    searches: float = 0.5
    """The rate at which a person searches for a right passage that was not shown, and pins it."""
    voices: int = 1
    """How many people ask the same question independently."""


@dataclass(frozen=True, slots=True)
class SimulatedTurn:
    """One turn of a simulated person, with the votes it led to."""

    turn: Turn
    verdicts: tuple[Verdict, ...]
    n_wrong: int
    """Votes that the truth contradicts."""


def simulate_users(
    questions: Mapping[str, Collection[str]],
    shown: Mapping[str, Sequence[ShownPassage]],
    *,
    encoder_id: str,
    asked_at: datetime,
    behaviour: Behaviour = Behaviour(),
    seed: int = 13,
) -> Iterator[SimulatedTurn]:
    """Lets people ask every question and vote on what is *shown* for it.

    *questions* maps texts to the ids of their right passages. A person reads the passages from the top and stops at
    the first right one: at rank 1 it is "helpful", further down it is pinned. Wrong ones on the way may be
    marked "not_relevant". If no right passage is shown, the person may search for one and pin it. With the
    probability `error` a person is mistaken instead: half of them reject the right passage that is shown, the others
    call a wrong one helpful, and either says nothing else. Equal arguments give equal turns and votes.
    """
    rng = np.random.default_rng(seed)
    for question, right in questions.items():
        for person in rng.choice(behaviour.n_people, min(behaviour.voices, behaviour.n_people), replace=False):
            user = f"person-{person + 1:02d}"
            turn_id = hashlib.sha256(f"{encoder_id}\0{seed}\0{user}\0{question}".encode()).hexdigest()[:32]
            turn = Turn(
                turn_id=turn_id,
                conversation_id=turn_id,
                user=user,
                question=question,
                answer="",
                declined=False,
                encoder_id=encoder_id,
                asked_at=asked_at,
                origin="simulated",
                shown=tuple(shown[question]),
            )
            said = simulate_votes([shown_hit.passage_id for shown_hit in turn.shown], right, behaviour, rng)
            verdicts = (
                Verdict(
                    user=user,
                    turn_id=turn_id,
                    question=question,
                    passage_id=passage_id,
                    verdict=verdict,
                    given_at=asked_at,
                )
                for passage_id, verdict in said.items()
            )
            yield SimulatedTurn(turn, tuple(verdicts), sum(contradicts_truth(*vote, right) for vote in said.items()))


def simulate_votes(
    shown: Sequence[str], right: Collection[str], behaviour: Behaviour, rng: np.random.Generator
) -> dict[str, str]:
    """Returns passage_id → verdict of one person who reads *shown* from the top; one verdict a passage.

    >>> careful = Behaviour(error=0.0, rejects=1.0, searches=1.0)
    >>> simulate_votes(["a", "b", "c"], {"b"}, careful, np.random.default_rng(1))
    {'a': 'not_relevant', 'b': 'pin'}
    >>> simulate_votes(["a"], {"z"}, careful, np.random.default_rng(1))
    {'a': 'not_relevant', 'z': 'pin'}
    """
    if rng.random() < behaviour.error:
        return _mistaken(shown, right, rng)
    said: dict[str, str] = {}
    for passage_id in shown:
        if passage_id in right:
            return said | {passage_id: "helpful" if passage_id == shown[0] else "pin"}
        if rng.random() < behaviour.rejects:
            said[passage_id] = "not_relevant"
    if rng.random() < behaviour.searches:
        said[min(right)] = "pin"
    return said


def _mistaken(shown: Sequence[str], right: Collection[str], rng: np.random.Generator) -> dict[str, str]:
    """Returns the single vote of a person who takes wrong for right, or right for wrong."""
    first_right = next((passage_id for passage_id in shown if passage_id in right), None)
    wrong = [passage_id for passage_id in shown if passage_id not in right]
    if first_right and (not wrong or rng.random() < 0.5):
        return {first_right: "not_relevant"}
    return {wrong[int(rng.integers(len(wrong)))]: "helpful"} if wrong else {}


def contradicts_truth(passage_id: str, verdict: str, right: Collection[str]) -> bool:
    """Whether a vote contradicts the truth.

    >>> contradicts_truth("a", "pin", {"b"}), contradicts_truth("a", "not_relevant", {"b"})
    (True, False)
    >>> contradicts_truth("b", "not_relevant", {"b"})
    True
    """
    return (verdict != "not_relevant") != (passage_id in right)


def served_passages(
    questions: Sequence[str],
    queries: FloatArray,
    passage_ids: Sequence[str],
    passages: FloatArray,
    lexical: BatchLexicalSearch,
    *,
    weight: float,
    k: int,
    candidates: int = 100,
) -> dict[str, tuple[ShownPassage, ...]]:
    """Returns what serving would show for each question, computed in batches by the functions that serve.

    *queries* `(q, dim)` and *passages* `(n, dim)` have rows of unit length; *lexical* is over *passage_ids*.
    """
    shown: dict[str, tuple[ShownPassage, ...]] = {}
    for batch in batched(range(len(questions)), 256):
        texts = [questions[row] for row in batch]
        words = lexical.score_matrix(texts)
        found = rank_passages(queries[list(batch)], passages, words, weight, k=k, candidates=candidates)
        for row, text, scores, best in zip(batch, texts, words, found.fused, strict=True):
            bm25 = normalise_bm25(scores)
            shown[text] = tuple(
                _shown(passage_ids[hit], rank, float(passages[hit] @ queries[row]), float(bm25[hit]), weight)
                for rank, hit in enumerate(best, start=1)
            )
    return shown


def record_simulated_turns(feedback: FeedbackStore, turns: Iterable[SimulatedTurn]) -> int:
    """Stores turns and votes, `TURNS_PER_TRANSACTION` at a time; returns how many votes were new."""
    n_new = 0
    for batch in batched(list(turns), TURNS_PER_TRANSACTION):
        feedback.record_turns([turn.turn for turn in batch])
        n_new += feedback.append([verdict for turn in batch for verdict in turn.verdicts])
    return n_new


def _shown(passage_id: str, rank: int, dense: float, lexical: float, weight: float) -> ShownPassage:
    return ShownPassage(
        passage_id=passage_id, rank=rank, score=dense + weight * lexical, dense=dense, lexical=lexical, cited=False
    )
