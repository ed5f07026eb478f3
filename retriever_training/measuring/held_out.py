"""The gate's questions: what people asked and judged, and no version ever trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rag.app.stores import Stores
from rag.embedding.query_vectors import get_query_vectors
from rag.records import utc_now
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.judgments.splits import DEV_SHARE, GATE_SHARE, hash_fraction

LOCKED_SHARE = 0.2  # the share of the gate's questions that is locked
LOCKED_FROM = DEV_SHARE + GATE_SHARE * (1 - LOCKED_SHARE)  # the `hash_fraction` from which questions are locked


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutQuestions:
    """The gate's questions."""

    questions_by_id: dict[str, str]
    right: dict[str, tuple[int, ...]]
    decisive: NDArray[np.bool_]
    """`(n,)`: those that the primary measure looks at, see `TrainingSnapshot.held_out`."""
    newest: NDArray[np.bool_]
    """`(n,)`: those that were judged last, see `JudgedQuestions.newest`."""
    locked: NDArray[np.bool_]
    """`(n,)`: those that no decision looks at, see `locked_mask`."""

    half_judged_at: datetime
    """When half of the questions that may decide had been judged: since then the set has been roughly the same."""

    @property
    def n_open(self) -> int:
        """How many of the questions may decide or guard."""
        return int((~self.locked).sum())

    def __len__(self) -> int:
        return len(self.right)

    def qrels(self, passage_ids: tuple[str, ...]) -> dict[str, dict[str, int]]:
        """query id → passage id → 1."""
        return {query_id: {passage_ids[row]: 1 for row in rows} for query_id, rows in self.right.items()}


def load_held_out_questions(stores: Stores, evidence: TrainingSnapshot, lock_from: int) -> HeldOutQuestions:
    """Returns the held-out questions of a snapshot in one order; from *lock_from* on a fifth of them is locked."""
    base = stores.open_encoder(stores.registry.base().encoder_id)
    asked = evidence.held_out("gate")
    decisive = set(evidence.held_out("gate", partial(get_query_vectors, stores.engine, base)).questions)
    ids = [f"gate-{index}" for index in range(len(asked))]
    locked = locked_mask(asked.questions, lock_from)
    times = sorted(moment for moment, is_locked in zip(asked.given_at, locked, strict=True) if not is_locked)
    return HeldOutQuestions(
        questions_by_id=dict(zip(ids, asked.questions, strict=True)),
        right={query_id: tuple(right) for query_id, right in zip(ids, asked.right, strict=True)},
        decisive=np.array([question in decisive for question in asked.questions], np.bool_),
        newest=asked.newest(),
        locked=locked,
        half_judged_at=times[len(times) // 2] if times else utc_now(),
    )


def locked_mask(questions: Sequence[str], lock_from: int) -> NDArray[np.bool_]:
    """Returns `(n,)`: the questions that reports show and that never decide; none if there are fewer than *lock_from*.

    Choosing night after night on the same questions favours versions that are lucky on them. The locked ones are the
    upper fifth of the gate's share by hash, always the same, so what they say about a version is free of that luck.
    A small library needs every question to decide at all.

    >>> locked_mask(["Who am I?"] * 3, lock_from=4).any()
    np.False_
    """
    if len(questions) < lock_from:
        return np.zeros(len(questions), np.bool_)
    return np.array([hash_fraction(question) >= LOCKED_FROM for question in questions], np.bool_)
