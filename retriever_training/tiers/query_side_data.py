"""The data of tiers 1 and 2: training rows over all passages, and the dev questions that choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from rag.database.sql_batches import batched
from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import PassageVectors
from rag.embedding.query_vectors import get_query_vectors
from rag.index.bm25 import Bm25Index
from rag.records import Passage
from rag.retrieval.fusion import normalise_bm25
from retriever_training.cold_start.pseudo_questions import draw_pseudo_questions
from retriever_training.judgments.snapshot import JudgedQuestions, TrainingSnapshot, best_supported
from retriever_training.judgments.splits import normalise_question
from retriever_training.losses.full_softmax import SoftmaxRows
from retriever_training.negatives.denoising.false_negative_rules import NEAR_DUPLICATE_COSINE
from retriever_training.progress import ProgressReporter
from retriever_training.tiers.model_selection import DevSet, choose_lexical_weight

LEXICAL_SHARE = 0.5  # of BM25's weight in serving; half was best or nearly so on the dev questions of two sets
LEXICAL_SHARE_AFTER_TRAINING = 0.8
"""The share of the weight that suits the base. At 0.6 two FeedbackQA sites gained .004 more on dev, but the demo's gate no
longer promoted: unseen passages there need BM25."""
MAX_LEXICAL_PASSAGES = (
    1_000  # passages with the highest BM25 for a question; what the others would get is negligible in the softmax
)
PSEUDO_QUESTION_WEIGHT = 1.0  # of a library's own question; 0.3 protected passages that nobody asked for less well
MAX_SOFTMAX_PASSAGES = 20_000  # of a larger library only the hardest passages and a random sample are in the softmax


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySideData:
    """The data of a night that leaves the passages' vectors as they are: training rows and dev questions."""

    train: JudgedQuestions
    """The questions that people asked and judged."""
    questions: tuple[str, ...]
    """The questions of the rows: people's, then the library's own."""
    rows: SoftmaxRows
    passages: FloatArray
    """`(n, dim)`: the vectors of the whole library by the base."""
    dev: JudgedQuestions
    dev_question_vectors: FloatArray
    """`(d, dim)`, by the base."""
    dev_set: DevSet
    training_positives: list[str]
    """Ids of the passages that are right in the rows."""
    n_encoded: int
    default_lexical_weight: float
    """BM25's weight if dev does not object: `LEXICAL_SHARE_AFTER_TRAINING` of what suits the base on dev."""

    @classmethod
    def gather(
        cls,
        evidence: TrainingSnapshot,
        encoder: Encoder,
        vectors: PassageVectors,
        default_weight: float,
        seed: int,
        watch: ProgressReporter,
    ) -> QuerySideData:
        """Gathers the data with the base's *encoder* and *vectors*; encodes only what they have not encoded yet."""
        n_encoded = vectors.fill(encoder, watch("encode passages", vectors.missing()))
        n_questions = len(evidence.asked("train")) + len(evidence.held_out("dev"))
        encoded = watch("encode questions", n_questions)

        def vectors_of(questions: Sequence[str]) -> FloatArray:
            return get_query_vectors(vectors.engine, encoder, questions, encoded)

        return cls.of(
            evidence,
            vectors_of,
            passages=evidence.matrix(vectors),
            default_weight=default_weight,
            seed=seed,
            n_encoded=n_encoded,
        )

    @classmethod
    def of(
        cls,
        evidence: TrainingSnapshot,
        vectors_of: Callable[[Sequence[str]], FloatArray],
        passages: FloatArray,
        default_weight: float,
        seed: int,
        n_encoded: int = 0,
    ) -> QuerySideData:
        """Gathers the data from vectors of the base: *vectors_of* for questions, *passages* for the snapshot's passages."""
        return cls.between(
            evidence.asked("train"),
            evidence.held_out("dev", vectors_of),
            library=evidence.passages,
            lexical=evidence.lexical,
            vectors_of=vectors_of,
            passages=passages,
            default_weight=default_weight,
            seed=seed,
            n_encoded=n_encoded,
        )

    @classmethod
    def between(
        cls,
        train: JudgedQuestions,
        dev: JudgedQuestions,
        library: Sequence[Passage],
        lexical: Bm25Index,
        vectors_of: Callable[[Sequence[str]], FloatArray],
        passages: FloatArray,
        default_weight: float,
        seed: int,
        n_encoded: int = 0,
    ) -> QuerySideData:
        """Gathers the data of questions from anywhere; *passages* and *lexical* are in the order of *library*.

        How much BM25 counts depends on the library: training starts from the weight that suits the base on dev, which is
        *default_weight* if dev does not object.
        """
        dev_set = DevSet.from_questions(lexical, dev.questions, [frozenset(right) for right in dev.right])
        dev_questions = vectors_of(dev.questions)
        by_base, _ = choose_lexical_weight(dev_set, dev_questions, passages, default_weight)
        every = join_questions(train, whole_passage_questions(library, seed))
        rows = query_side_rows(
            every,
            vectors_of(every.questions),
            passages=passages,
            seed=seed,
            lexical=lexical,
            weight=LEXICAL_SHARE * by_base,
        )
        positives = sorted({library[row].passage_id for right in train.right for row in best_supported(right)})
        return cls(
            train=train,
            questions=every.questions,
            rows=rows,
            passages=passages,
            dev=dev,
            dev_question_vectors=dev_questions,
            dev_set=dev_set,
            training_positives=positives,
            n_encoded=n_encoded,
            default_lexical_weight=LEXICAL_SHARE_AFTER_TRAINING * by_base,
        )

    def counts(self) -> dict[str, int]:
        """Returns the counts for a version's note."""
        return {
            "n_train_questions": len(self.train),
            "n_own_questions": len(self.questions) - len(self.train),
            "n_dev_questions": len(self.dev),
            "n_rows": len(self.rows.weight),
        }


def whole_passage_questions(passages: Sequence[Passage], seed: int) -> JudgedQuestions:
    """Returns questions that the library asks of itself, each with the whole passages that answer it.

    They teach nothing new, because the base finds nearly all of them, but they hold what it can do: people's questions
    must not push away passages that nobody asked for. On the dev questions of two FeedbackQA sites they lifted tier 1 on
    passages that were never trained on by .011 and .026, and cost nothing elsewhere.
    """
    drawn = draw_pseudo_questions(passages, seed)
    return JudgedQuestions(
        questions=tuple(pseudo_question.question for pseudo_question in drawn.questions),
        right=tuple(dict.fromkeys(pseudo_question.left, PSEUDO_QUESTION_WEIGHT) for pseudo_question in drawn.questions),
        rejected=((),) * len(drawn.questions),
    )


def join_questions(people: JudgedQuestions, own: JudgedQuestions) -> JudgedQuestions:
    """Joins people's questions with the library's own that nobody asked in the same words.

    >>> people = JudgedQuestions(questions=("Who?",), right=({3: 1.0},), rejected=((),))
    >>> own = JudgedQuestions(questions=("Where?", "who"), right=({1: 1.0}, {2: 1.0}), rejected=((), ()))
    >>> join_questions(people, own).questions
    ('Who?', 'Where?')
    """
    known = {normalise_question(question) for question in people.questions}
    new = [index for index, question in enumerate(own.questions) if normalise_question(question) not in known]
    return JudgedQuestions(
        questions=people.questions + tuple(own.questions[index] for index in new),
        right=people.right + tuple(own.right[index] for index in new),
        rejected=people.rejected + tuple(own.rejected[index] for index in new),
        excluded=people.excluded + ((),) * len(new) if people.excluded else (),
    )


def query_side_rows(
    train: JudgedQuestions, asked: FloatArray, passages: FloatArray, seed: int, lexical: Bm25Index, weight: float
) -> SoftmaxRows:
    """Makes one row for each best supported passage of each question, over the passages that take part.

    The question's other right passages are not negatives, nor are those that a review removed from them.
    *asked* `(q, dim)` and *passages* `(n, dim)` are the base's vectors; *lexical* scores are multiplied by *weight*.
    """
    taking_part = choose_participants(train, asked, passages, seed)
    position_of = {int(row): position for position, row in enumerate(taking_part)}
    chosen = passages[taking_part]
    pairs = [
        (question, row, weight)
        for question, right in enumerate(train.right)
        for row, weight in best_supported(right).items()
    ]
    twins = _twins(passages, sorted({row for _, row, _ in pairs}), chosen)
    masked = []
    for question, row, _ in pairs:
        not_negatives = [position_of[positive] for positive in train.right[question] if positive != row]
        not_negatives += [
            position_of[excluded]
            for excluded in train.excluded_for(question)
            if excluded != row and excluded in position_of
        ]
        masked.append(np.union1d(np.array(not_negatives, np.int64), twins[row]).astype(np.int64))
    return SoftmaxRows(
        questions=asked,
        passages=chosen,
        question_of=np.array([question for question, _, _ in pairs], np.int64),
        positive_of=np.array([position_of[row] for _, row, _ in pairs], np.int64),
        weight=np.array([weight for _, _, weight in pairs], np.float32),
        masked=tuple(masked),
        emphasised=tuple(
            np.array([position_of[row] for row in train.rejected[question]], np.int64) for question, _, _ in pairs
        ),
        lexical=tuple(
            _lexical_bonus(weight * normalise_bm25(lexical.scores(question))[taking_part])
            for question in train.questions
        ),
    )


def _twins(passages: FloatArray, rows: Sequence[int], chosen: FloatArray) -> dict[int, NDArray[np.intp]]:
    """Returns for each of *rows* the positions in *chosen* of passages that say nearly the same."""
    near_duplicates: dict[int, NDArray[np.intp]] = {}
    for batch in batched(rows, 256):
        near = passages[list(batch)] @ chosen.T >= NEAR_DUPLICATE_COSINE
        near_duplicates.update((row, np.flatnonzero(is_near)) for row, is_near in zip(batch, near, strict=True))
    return near_duplicates


def _lexical_bonus(bonus: NDArray[np.float64]) -> tuple[NDArray[np.int64], FloatArray]:
    """Returns the `MAX_LEXICAL_PASSAGES` positions where BM25 adds most, and what it adds."""
    positions = np.flatnonzero(bonus > 0)
    if len(positions) > MAX_LEXICAL_PASSAGES:
        positions = positions[np.argpartition(-bonus[positions], MAX_LEXICAL_PASSAGES)[:MAX_LEXICAL_PASSAGES]]
    return positions.astype(np.int64), bonus[positions].astype(np.float32)


def choose_participants(
    train: JudgedQuestions, asked: FloatArray, passages: FloatArray, seed: int
) -> NDArray[np.int64]:
    """Returns rows of the passages in the softmax: all, or the judged ones, the hardest for any question, and a sample."""
    n = len(passages)
    if n <= MAX_SOFTMAX_PASSAGES:
        return np.arange(n)
    judged = {row for right in train.right for row in right} | {row for rows in train.rejected for row in rows}
    hardest = np.full(n, -1.0, np.float32)
    for start in range(0, len(asked), 256):
        np.maximum(hardest, (asked[start : start + 256] @ passages.T).max(axis=0), out=hardest)
    half = (MAX_SOFTMAX_PASSAGES - len(judged)) // 2
    near = np.argsort(-hardest, kind="stable")[: max(half, 0)]
    sample = np.random.default_rng(seed).choice(n, max(half, 0), replace=False)
    return np.unique(np.concatenate([near, sample, np.array(sorted(judged), np.int64)])).astype(np.int64)
