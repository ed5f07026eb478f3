"""Tier 1 before people's questions suffice: a map learned from the library's own questions, merged half with the base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import TooLittleDataError
from retriever_training.cold_start.pseudo_rows import PseudoQuestionSet, build_pseudo_question_set
from retriever_training.judgments.snapshot import TrainingSnapshot, best_supported
from retriever_training.judgments.splits import find_near_duplicates_of
from retriever_training.losses.full_softmax import SoftmaxRows
from retriever_training.progress import ProgressReporter, TrainedModel
from retriever_training.tiers.query_side_data import LEXICAL_SHARE, query_side_rows
from retriever_training.tiers.tier1_adapter import RIDGES, STEPS_PER_RIDGE, fit_maps, merge_map, save_adapter

COLD_START_ALPHA = (
    0.5  # how far to go from the base; there may be no dev questions to choose by, and going all the way was too far
)
PSEUDO_QUESTION_WEIGHT = 1.0  # of each question: no questions of people are trained on with them


def fit_half_map(rows: SoftmaxRows, seed: int, progress: Callable[[int], None] = lambda n: None) -> FloatArray:
    """Returns the map of the weakest ridge, `(dim, dim)`, merged by `COLD_START_ALPHA`, as `bench cold-start` measures it."""
    ((_, weights),) = fit_maps(rows, seed, progress, ridges=RIDGES[-1:])
    return merge_map(weights, COLD_START_ALPHA)


def learn_cold_start(
    evidence: TrainingSnapshot,
    encoder: Encoder,
    vectors: PassageVectors,
    default_weight: float,
    work: Path,
    seed: int,
    watch: ProgressReporter,
) -> TrainedModel:
    """Fits a map on the library's own consistent questions, and saves it in *work*.

    *encoder* and *vectors* are the base's. People's judgments are not trained on, nor are questions that say what a
    held-out one says: a heading may be what somebody asked.

    Raises:
        TooLittleDataError: no question of the library is consistent.
    """
    n_encoded = vectors.fill(encoder, watch("encode passages", vectors.missing()))
    passages, library = evidence.matrix(vectors), evidence.passages
    cold = build_pseudo_question_set(
        library,
        encoder,
        passage_vectors=passages,
        lexical_weight=default_weight,
        weight=PSEUDO_QUESTION_WEIGHT,
        seed=seed,
        progress=watch("encode what is left of passages", len(library)),
    )
    n_encoded += sum(left != passage.encoded_text for left, passage in zip(cold.texts, library, strict=True))
    own = without_held_out(cold, evidence)
    if not len(own.asked):
        raise TooLittleDataError(
            'the library asks no question that its passages answer: "nightjar cold-start" shows why'
        )
    rows = query_side_rows(
        own.asked,
        own.question_vectors,
        passages=own.passage_vectors,
        seed=seed,
        lexical=own.lexical,
        weight=LEXICAL_SHARE * default_weight,
    )
    save_adapter(encoder.folder, fit_half_map(rows, seed, watch("fit a map", STEPS_PER_RIDGE)), work / "candidate")
    positives = sorted({library[row].passage_id for right in own.asked.right for row in best_supported(right)})
    n_near = len(cold.asked) - len(own.asked)
    counts = {**cold.counts, "too near a held-out question": n_near} if n_near else dict(cold.counts)
    note = {
        "ridge": RIDGES[-1],
        "alpha": COLD_START_ALPHA,
        "n_train_questions": 0,
        "n_own_questions": len(own.asked),
        "n_rows": len(rows.weight),
        "cold_start": counts,
        "seed": seed,
    }
    return TrainedModel(
        folder=work / "candidate",
        lexical_weight=default_weight,
        training_positives=positives,
        n_encoded=n_encoded,
        note=note,
    )


def without_held_out(cold: PseudoQuestionSet, evidence: TrainingSnapshot) -> PseudoQuestionSet:
    """Removes the questions that say in nearly the same words what a dev or gate question says."""
    held_out = [*evidence.asked("dev").questions, *evidence.asked("gate").questions]
    near = set(find_near_duplicates_of(cold.asked.questions, held_out))
    return cold.only([index for index, question in enumerate(cold.asked.questions) if question not in near])
