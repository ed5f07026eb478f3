"""The gate's questions: what people asked and judged, and no version ever trains on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rag.assemble import App
from rag.question_vectors import question_vectors
from retriever_training.evidence import Evidence


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The gate's questions."""

    questions_by_id: dict[str, str]
    right: dict[str, tuple[int, ...]]
    decisive: NDArray[np.bool_]
    """`(n,)`: those that the primary measure looks at, see `Evidence.held_out`."""
    newest: NDArray[np.bool_]
    """`(n,)`: those that were judged last, see `Asked.newest`."""

    def __len__(self) -> int:
        return len(self.right)

    def qrels(self, passage_ids: tuple[str, ...]) -> dict[str, dict[str, int]]:
        """query id → passage id → 1."""
        return {query_id: {passage_ids[row]: 1 for row in rows} for query_id, rows in self.right.items()}


def held_out_questions(app: App, evidence: Evidence) -> HeldOut:
    """Those of this evidence, in one order."""
    base = app.open_encoder(app.registry.base().encoder_id)
    asked = evidence.held_out("gate")
    decisive = set(evidence.held_out("gate", partial(question_vectors, app.engine, base)).questions)
    ids = [f"gate-{place}" for place in range(len(asked))]
    return HeldOut(
        dict(zip(ids, asked.questions, strict=True)),
        {query_id: tuple(right) for query_id, right in zip(ids, asked.right, strict=True)},
        np.array([question in decisive for question in asked.questions], np.bool_),
        asked.newest(),
    )
