"""Learning of a tier-3 night: mines negatives, trains both towers, chooses a merge on dev, encodes the passages again."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder, Precision
from rag.embedding.passage_vectors import PassageVectors
from rag.embedding.query_vectors import get_query_vectors
from rag.retrieval.fusion import normalise_bm25
from retriever_training.judgments.snapshot import JudgedQuestions, TrainingSnapshot, best_supported
from retriever_training.losses.batch_side_data import EncodeTexts as TextVectors
from retriever_training.losses.batch_side_data import LexicalBonus
from retriever_training.negatives.candidates.records import MiningContext, VersionView
from retriever_training.negatives.denoising.cross_encoder_teacher import Teacher, clipped_logits
from retriever_training.negatives.mixing import TrainingRow, mine_negatives, mix_rows, rows_of_epoch, source_quotas
from retriever_training.progress import ProgressReporter, TrainedModel
from retriever_training.tiers.model_selection import DevSet, choose_lexical_weight
from retriever_training.tiers.query_side_data import LEXICAL_SHARE
from retriever_training.tiers.tier3_both_towers import (
    TowersPlan,
    TrainingExample,
    count_tower_steps,
    merge_towers,
    train_towers,
)

ALPHAS = (1.0, 0.8, 0.6)
NEGATIVES_PER_ROW = 1  # a second one of any kind gained nothing in DPR's table 3, and costs a third more
MAX_DEV_PASSAGES = 1000  # encoded for each alpha: the hardest for the dev questions, and the right ones

log = logging.getLogger(__name__)


def learn_towers(
    evidence: TrainingSnapshot,
    encoder: Encoder,
    vectors: PassageVectors,
    views: Sequence[VersionView],
    default_weight: float,
    work: Path,
    plan: TowersPlan,
    watch: ProgressReporter,
    precision: Precision = "auto",
    teacher: Teacher | None = None,
    earlier: tuple[VersionView, ...] = (),
) -> TrainedModel:
    """Mines, trains, merges and re-encodes; everything in *work* is kept, so that a killed night continues.

    *encoder* and *vectors* are the base's; *views* are the versions whose margins a negative has to respect. A *teacher*
    cleans the negatives too, and its scores serve `plan.distil`; pass a `CachingTeacher`. *earlier* versions give
    negatives if "earlier" is among the plan's sources.
    """
    plan = replace(plan, bf16=encoder.prefers_bf16(evidence.texts))
    texts = _Texts(evidence, teacher)
    dev = evidence.held_out("dev", partial(get_query_vectors, vectors.engine, encoder))
    dev_set = DevSet.of(evidence.lexical.score_matrix(dev.questions), [frozenset(right) for right in dev.right])
    by_base, _ = choose_lexical_weight(
        dev_set, get_query_vectors(vectors.engine, encoder, dev.questions), evidence.matrix(vectors), default_weight
    )
    inputs = _RoundInputs(
        lexical=texts.lexical(LEXICAL_SHARE * by_base),
        seen_by_base=(partial(get_query_vectors, vectors.engine, encoder), texts.vectors(evidence.matrix(vectors))),
    )
    for number in range(1, plan.rounds + 1):
        mine, rows, removed = mine_training_rows(
            evidence, views, plan=plan, watch=watch, teacher=teacher, earlier=earlier
        )
        trained = _train_round(
            number,
            encoder.folder,
            examples=texts.of_epochs(rows, plan),
            work=work,
            plan=plan,
            watch=watch,
            inputs=inputs,
        )
        if number < plan.rounds:
            views = [*views, _view_of_round(number, evidence, trained, precision, watch)]
    alpha = _choose_alpha(
        evidence, dev, encoder=encoder, vectors=vectors, trained=trained, default=by_base, work=work, watch=watch
    )
    made = work / "candidate"
    shutil.rmtree(made, ignore_errors=True)
    merge_towers(encoder.folder, trained, alpha, made)
    candidate = Encoder.open(made, precision=precision)
    side = PassageVectors(vectors.engine, candidate.passage_side)
    n_encoded = side.fill(candidate, watch("encode the library again", side.missing()))
    weight, on_dev = choose_lexical_weight(
        dev_set, candidate.encode_queries(dev.questions), evidence.matrix(side), by_base
    )
    note = {
        "alpha": alpha,
        "dev_ndcg@10": round(on_dev, 4),
        "n_train_questions": len(mine),
        "n_rows": len(rows),
        "negatives": _by_source(rows),
        "removed": removed,
        "rounds": plan.rounds,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "seed": plan.seed,
    }
    return TrainedModel(
        folder=made,
        lexical_weight=weight,
        training_positives=sorted({row.positive_id for row in rows}),
        n_encoded=n_encoded,
        note=note,
    )


@dataclass(frozen=True, slots=True)
class _RoundInputs:
    """What the training of every round gets: BM25's bonus, and the base's vectors of questions and passages."""

    lexical: LexicalBonus
    seen_by_base: tuple[TextVectors, TextVectors]


def _train_round(
    number: int,
    base: Path,
    examples: Sequence[TrainingExample],
    work: Path,
    plan: TowersPlan,
    watch: ProgressReporter,
    inputs: _RoundInputs,
) -> Path:
    """Trains one round, always from the base: a later round differs from the one before by its negatives only."""
    name = "train both towers" if plan.rounds == 1 else f"train both towers, round {number} of {plan.rounds}"
    progress = watch(name, count_tower_steps(len(examples), plan))
    folder = work / f"round-{number}"
    return train_towers(
        base, examples, folder, plan, progress, lexical=inputs.lexical, base_vectors=inputs.seen_by_base
    )


def _view_of_round(
    number: int, evidence: TrainingSnapshot, trained: Path, precision: Precision, watch: ProgressReporter
) -> VersionView:
    """Returns how the version of a round sees the train questions and the library, as for DPR's second round of mining."""
    encoder, texts = Encoder.open(trained, precision=precision), evidence.texts
    passages = encoder.encode_passages(texts, watch(f"encode the library by round {number}", len(texts)))
    questions = encoder.encode_queries(evidence.asked("train").questions)
    return VersionView(f"round {number}", questions, passages, encoder.encoder_id)


def mine_training_rows(
    evidence: TrainingSnapshot,
    views: Sequence[VersionView],
    plan: TowersPlan,
    watch: ProgressReporter,
    teacher: Teacher | None = None,
    earlier: tuple[VersionView, ...] = (),
) -> tuple[MiningContext, list[TrainingRow], dict[str, int]]:
    """Returns the night's rows, each with its pool of negatives, and how many candidates were left out, by reason."""
    train = evidence.asked("train")
    mine = replace(make_mining_context(evidence, train, views[-1], plan.seed), earlier=earlier)
    advance = watch("mine negatives", len(mine))
    by_source = mine_negatives(mine, views, evidence.texts, finders=plan.sources, known=train.known, teacher=teacher)
    pool = max(plan.n_negatives, plan.pool)
    right = [best_supported(positives) for positives in train.right]
    rows, removed = mix_rows(mine, by_source, right, pool, source_quotas(plan.sources))
    advance(len(mine))
    return mine, rows, removed


def make_mining_context(
    evidence: TrainingSnapshot, asked: JudgedQuestions, view: VersionView, seed: int
) -> MiningContext:
    """Returns the mining context over one split's questions, as the version of *view* sees them."""
    return MiningContext(
        questions=asked.questions,
        positives=tuple(frozenset(right) for right in asked.right),
        rejected=asked.rejected,
        passage_ids=evidence.passage_ids,
        question_vectors=view.question_vectors,
        passage_vectors=view.passage_vectors,
        lexical=evidence.lexical,
        texts=evidence.texts,
        seed=seed,
        version=view.version,
    )


@dataclass(frozen=True)
class _Texts:
    """The night's passages by the text that encoders read, which is how the trainer names them."""

    evidence: TrainingSnapshot
    teacher: Teacher | None = None

    @cached_property
    def row(self) -> dict[str, int]:
        """Text → row; the last row if passages have equal texts."""
        return {text: row for row, text in enumerate(self.evidence.texts)}

    def of_epochs(self, rows: Sequence[TrainingRow], plan: TowersPlan) -> list[TrainingExample]:
        """Returns the rows as the trainer takes them: once, or once for every epoch if negatives take turns."""
        if not plan.takes_turns:
            return self.examples(rows)
        return [
            example
            for epoch in range(plan.epochs)
            for example in self.examples(
                rows_of_epoch(rows, plan.n_negatives, epoch, plan.epochs, plan.seed, easy_first=plan.easy_first)
            )
        ]

    def examples(self, rows: Sequence[TrainingRow]) -> list[TrainingExample]:
        """Returns rows as texts. A question's other right passages, even less supported ones, are excluded from its
        negatives, and so are those that a review removed."""
        train = self.evidence.asked("train")
        excluded = {
            question: (*right, *train.excluded_for(index))
            for index, (question, right) in enumerate(zip(train.questions, train.right, strict=True))
        }
        texts = self.evidence.texts
        return [
            TrainingExample(
                question=row.question,
                positive=texts[self.evidence.row[row.positive_id]],
                negatives=tuple(texts[negative.passage] for negative in row.negatives),
                weight=row.weight,
                excluded=tuple(texts[masked] for masked in excluded[row.question]),
                teacher=self.taught(row),
            )
            for row in rows
        ]

    def taught(self, row: TrainingRow) -> tuple[float, ...]:
        """Returns the teacher's logits for the row's own passages, the right one first; nothing without a teacher."""
        if self.teacher is None:
            return ()
        own = [self.evidence.row[row.positive_id], *(negative.passage for negative in row.negatives)]
        return tuple(
            clipped_logits(self.teacher.scores(row.question, [self.evidence.texts[index] for index in own])).tolist()
        )

    def lexical(self, weight: float) -> LexicalBonus:
        """Returns the function that gives what BM25 adds to cosines, multiplied by *weight*."""

        def added(questions: Sequence[str], passages: Sequence[str]) -> FloatArray:
            columns = [self.row[text] for text in passages]
            scores = self.evidence.lexical.score_matrix(questions)
            return np.stack([weight * normalise_bm25(line)[columns] for line in scores]).astype(np.float32)

        return added

    def vectors(self, matrix: FloatArray) -> TextVectors:
        """Returns the function that gives passages' rows of *matrix*, `(n, dim)`, by their texts."""
        return lambda texts: matrix[[self.row[text] for text in texts]]


def _choose_alpha(
    evidence: TrainingSnapshot,
    dev: JudgedQuestions,
    encoder: Encoder,
    vectors: PassageVectors,
    trained: Path,
    default: float,
    work: Path,
    watch: ProgressReporter,
) -> float:
    """Returns the alpha of the best merge on dev, over the passages that can make a difference there."""
    by_base = get_query_vectors(vectors.engine, encoder, dev.questions)
    rows = _dev_passages(dev, by_base, evidence.matrix(vectors))
    position_of = {int(row): position for position, row in enumerate(rows)}
    right = [frozenset(position_of[row] for row in right) for right in dev.right]
    dev_set = DevSet.of(evidence.lexical.score_matrix(dev.questions)[:, rows], right)
    texts = [evidence.texts[row] for row in rows]
    advance = watch("choose the merge on dev", len(ALPHAS))
    tried = []
    for alpha in ALPHAS if len(dev) else ALPHAS[:1]:
        folder = work / f"merged-{alpha}"
        merge_towers(encoder.folder, trained, alpha, folder)
        merged = Encoder.open(folder)
        weight, on_dev = choose_lexical_weight(
            dev_set, merged.encode_queries(dev.questions), merged.encode_passages(texts), default
        )
        log.info("alpha %g, lexical weight %g: nDCG@10 %.4f on dev", alpha, weight, on_dev)
        tried.append((on_dev, alpha, weight))
        shutil.rmtree(folder)
        advance(1)
    return max(tried)[1]


def _dev_passages(dev: JudgedQuestions, questions: FloatArray, passages: FloatArray) -> NDArray[np.int64]:
    """Returns `MAX_DEV_PASSAGES` rows: the dev questions' right passages, and those nearest to any dev question."""
    right = {row for rows in dev.right for row in rows}
    nearest = np.full(len(passages), -1.0, np.float32)
    for start in range(0, len(questions), 256):
        np.maximum(nearest, (questions[start : start + 256] @ passages.T).max(axis=0), out=nearest)
    hardest = np.argsort(-nearest, kind="stable")[: max(0, MAX_DEV_PASSAGES - len(right))]
    return np.union1d(hardest, np.array(sorted(right), np.int64)).astype(np.int64)


def _by_source(rows: Sequence[TrainingRow]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        for negative in row.negatives:
            counts[negative.source] = counts.get(negative.source, 0) + 1
    return counts
