"""A tier-1 night before people's questions can train: a map learnt from the library's own, half of the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import Vectors
from rag.errors import TooLittleDataError
from retriever_training.cold_start.pseudo_rows import ColdStart, cold_start_rows
from retriever_training.judgments.snapshot import Evidence, best_supported
from retriever_training.judgments.splits import too_near
from retriever_training.losses.full_softmax import Rows
from retriever_training.progress import Made, Watch
from retriever_training.tiers.query_side_data import LEXICAL_SHARE, training_rows
from retriever_training.tiers.tier1_adapter import RIDGES, STEPS, fit_maps, merge, save_adapter

FloatArray = NDArray[np.float32]

ALPHA = 0.5  # how far to go from the base; there may be no dev questions to choose by, and all of it was too far
WEIGHT = 1.0  # of each question: there are no others beside them


def half_map(rows: Rows, seed: int, progress: Callable[[int], None] = lambda n: None) -> FloatArray:
    """The map of the weakest ridge, `(dim, dim)`, ALPHA of the way from the identity: what `bench cold-start` measures."""
    ((_, weights),) = fit_maps(rows, seed, progress, ridges=RIDGES[-1:])
    return merge(weights, ALPHA)


def learn_cold(
    evidence: Evidence,
    encoder: Encoder,
    vectors: Vectors,
    default_weight: float,
    work: Path,
    seed: int,
    watch: Watch,
) -> Made:
    """Fits a map on the library's own consistent questions, and saves it below *work*.

    *encoder* and *vectors* are the base's. People's judgments are not trained on, and no question takes part that says
    what a held-out one says: a heading may be what somebody asked.

    Raises:
        TooLittleDataError: no question of the library is consistent.
    """
    n_encoded = vectors.fill(encoder, watch("encode passages", vectors.missing()))
    passages, library = evidence.matrix(vectors), evidence.passages
    cold = cold_start_rows(
        library, encoder, passages, default_weight, WEIGHT, seed,
        progress=watch("encode what is left of passages", len(library)),
    )  # fmt: skip
    n_encoded += sum(left != passage.encoded_text for left, passage in zip(cold.texts, library, strict=True))
    own = apart_from_held_out(cold, evidence)
    if not len(own.asked):
        raise TooLittleDataError(
            'the library asks no question that its passages answer: "nightjar cold-start" says why'
        )
    rows = training_rows(
        own.asked, own.question_vectors, own.passage_vectors, seed, own.lexical, LEXICAL_SHARE * default_weight
    )
    save_adapter(encoder.folder, half_map(rows, seed, watch("fit a map", STEPS)), work / "candidate")
    positives = sorted({library[row].passage_id for right in own.asked.right for row in best_supported(right)})
    n_near = len(cold.asked) - len(own.asked)
    counts = {**cold.counts, "too near a held-out question": n_near} if n_near else dict(cold.counts)
    note = {"ridge": RIDGES[-1], "alpha": ALPHA, "n_train_questions": 0, "n_own_questions": len(own.asked),
            "n_rows": len(rows.weight), "cold_start": counts, "seed": seed}  # fmt: skip
    return Made(work / "candidate", default_weight, positives, n_encoded, note)


def apart_from_held_out(cold: ColdStart, evidence: Evidence) -> ColdStart:
    """Without the questions that say in nearly the same words what a dev or gate question says."""
    held_out = [*evidence.asked("dev").questions, *evidence.asked("gate").questions]
    near = set(too_near(cold.asked.questions, held_out))
    return cold.only([place for place, question in enumerate(cold.asked.questions) if question not in near])
