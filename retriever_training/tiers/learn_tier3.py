"""A tier-3 night's learning: rows with mined negatives, both towers, a merge chosen on dev, a new passage side."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.embedding.encoder import Encoder, Precision
from rag.embedding.passage_vectors import Vectors
from rag.embedding.query_vectors import question_vectors
from rag.retrieval.fusion import normalised_lexical
from retriever_training.judgments.snapshot import Asked, Evidence, best_supported
from retriever_training.losses.batch_side_data import Lexical
from retriever_training.losses.batch_side_data import Vectors as TextVectors
from retriever_training.negatives.candidates.records import Mine, View
from retriever_training.negatives.denoising.cross_encoder_teacher import Teacher, logits
from retriever_training.negatives.mixing import Row, mine_all, mix, of_epoch, quotas_of
from retriever_training.progress import Made, Watch
from retriever_training.tiers.model_selection import DevSet, best_weight
from retriever_training.tiers.query_side_data import LEXICAL_SHARE
from retriever_training.tiers.tier3_both_towers import Example, Plan, merge_towers, n_steps, train_towers

FloatArray = NDArray[np.float32]

ALPHAS = (1.0, 0.8, 0.6)
N_NEGATIVES = 1  # a row; the second one of any kind gained nothing in DPR's table 3, and costs a third more
DEV_PASSAGES = 1000  # encoded for each alpha tried: the hardest for the dev questions, and the right ones

log = logging.getLogger(__name__)


def learn_towers(
    evidence: Evidence,
    encoder: Encoder,
    vectors: Vectors,
    views: Sequence[View],
    default_weight: float,
    work: Path,
    plan: Plan,
    watch: Watch,
    precision: Precision = "auto",
    teacher: Teacher | None = None,
    earlier: tuple[View, ...] = (),
) -> Made:
    """Mines, trains, merges and re-encodes; everything below *work* is kept, so that a killed night goes on.

    *encoder* and *vectors* are the base's; *views* are the versions whose margins a negative has to respect. With a
    *teacher* negatives are cleaned by it too, and its scores go into `plan.distil`; give a `Remembered` one. *earlier*
    versions give negatives where they are among the plan's sources.
    """
    plan = replace(plan, bf16=encoder.prefers_bf16(evidence.texts))
    texts = _Texts(evidence, teacher)
    dev = evidence.held_out("dev", partial(question_vectors, vectors.engine, encoder))
    dev_set = DevSet.of(evidence.lexical.score_matrix(dev.questions), [frozenset(right) for right in dev.right])
    by_base, _ = best_weight(
        dev_set, question_vectors(vectors.engine, encoder, dev.questions), evidence.matrix(vectors), default_weight
    )
    learnt = _Learnt(
        lexical=texts.lexical(LEXICAL_SHARE * by_base),
        seen_by_base=(partial(question_vectors, vectors.engine, encoder), texts.vectors(evidence.matrix(vectors))),
    )
    for number in range(1, plan.rounds + 1):
        mine, rows, removed = training_rows(evidence, views, plan, watch, teacher, earlier)
        trained = _train_round(number, encoder.folder, texts.of_epochs(rows, plan), work, plan, watch, learnt)
        if number < plan.rounds:
            views = [*views, _view_of_round(number, evidence, trained, precision, watch)]
    alpha = _choose_alpha(evidence, dev, encoder, vectors, trained, by_base, work, watch)
    made = work / "candidate"
    shutil.rmtree(made, ignore_errors=True)
    merge_towers(encoder.folder, trained, alpha, made)
    candidate = Encoder.open(made, precision=precision)
    side = Vectors(vectors.engine, candidate.passage_side)
    n_encoded = side.fill(candidate, watch("encode the library anew", side.missing()))
    weight, on_dev = best_weight(dev_set, candidate.encode_queries(dev.questions), evidence.matrix(side), by_base)
    note = {"alpha": alpha, "dev_ndcg@10": round(on_dev, 4), "n_train_questions": len(mine), "n_rows": len(rows),
            "negatives": _by_source(rows), "removed": removed, "rounds": plan.rounds, "epochs": plan.epochs,
            "batch_size": plan.batch_size, "learning_rate": plan.learning_rate, "seed": plan.seed}  # fmt: skip
    return Made(made, weight, sorted({row.positive_id for row in rows}), n_encoded, note)


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What every round knows of the texts."""

    lexical: Lexical
    seen_by_base: tuple[TextVectors, TextVectors]


def _train_round(
    number: int, base: Path, examples: Sequence[Example], work: Path, plan: Plan, watch: Watch, learnt: _Learnt
) -> Path:
    """Trains from the base, whatever round it is: what a later one has of the one before are its negatives."""
    name = "train both towers" if plan.rounds == 1 else f"train both towers, round {number} of {plan.rounds}"
    progress = watch(name, n_steps(len(examples), plan))
    folder = work / f"round-{number}"
    return train_towers(
        base, examples, folder, plan, progress, lexical=learnt.lexical, seen_by_base=learnt.seen_by_base
    )


def _view_of_round(number: int, evidence: Evidence, trained: Path, precision: Precision, watch: Watch) -> View:
    """How the version of a round sees the train questions and the library: as DPR mines its second round's negatives."""
    encoder, texts = Encoder.open(trained, precision=precision), evidence.texts
    passages = encoder.encode_passages(texts, watch(f"encode the library by round {number}", len(texts)))
    questions = encoder.encode_queries(evidence.asked("train").questions)
    return View(f"round {number}", questions, passages, encoder.encoder_id)


def training_rows(
    evidence: Evidence,
    views: Sequence[View],
    plan: Plan,
    watch: Watch,
    teacher: Teacher | None = None,
    earlier: tuple[View, ...] = (),
) -> tuple[Mine, list[Row], dict[str, int]]:
    """The night's rows, each with its pool of negatives, and how many candidates were left out, by reason."""
    train = evidence.asked("train")
    mine = replace(make_mine(evidence, train, views[-1], plan.seed), earlier=earlier)
    advance = watch("mine negatives", len(mine))
    by_source = mine_all(mine, views, evidence.texts, finders=plan.sources, known=train.known, teacher=teacher)
    pool = max(plan.n_negatives, plan.pool)
    right = [best_supported(one) for one in train.right]
    rows, removed = mix(mine, by_source, right, pool, quotas_of(plan.sources))
    advance(len(mine))
    return mine, rows, removed


def make_mine(evidence: Evidence, asked: Asked, view: View, seed: int) -> Mine:
    """The mine over one split's questions, as the version of *view* sees it."""
    return Mine(
        asked.questions,
        tuple(frozenset(right) for right in asked.right),
        asked.rejected,
        evidence.passage_ids,
        view.question_vectors,
        view.passage_vectors,
        evidence.lexical,
        evidence.texts,
        seed,
        version=view.version,
    )


@dataclass(frozen=True)
class _Texts:
    """The night's passages by what encoders read, which is how the trainer names them."""

    evidence: Evidence
    teacher: Teacher | None = None

    @cached_property
    def row(self) -> dict[str, int]:
        """text → row; of passages with one text the last."""
        return {text: row for row, text in enumerate(self.evidence.texts)}

    def of_epochs(self, rows: Sequence[Row], plan: Plan) -> list[Example]:
        """The rows as the trainer takes them: once, or where negatives take turns once for every epoch."""
        if not plan.takes_turns:
            return self.examples(rows)
        return [
            example
            for epoch in range(plan.epochs)
            for example in self.examples(
                of_epoch(rows, plan.n_negatives, epoch, plan.epochs, plan.seed, easy_first=plan.easy_first)
            )
        ]

    def examples(self, rows: Sequence[Row]) -> list[Example]:
        """Rows as texts; spared are a question's other right passages, the less supported ones too, and what a review
        took out of its negatives."""
        train = self.evidence.asked("train")
        spared = {
            question: (*right, *train.spared_of(place))
            for place, (question, right) in enumerate(zip(train.questions, train.right, strict=True))
        }
        texts = self.evidence.texts
        return [
            Example(
                row.question,
                texts[self.evidence.row[row.positive_id]],
                tuple(texts[negative.passage] for negative in row.negatives),
                row.weight,
                tuple(texts[other] for other in spared[row.question]),
                self.taught(row),
            )
            for row in rows
        ]

    def taught(self, row: Row) -> tuple[float, ...]:
        """What the teacher says of the row's own passages, the right one first, as logits; nothing without a teacher."""
        if self.teacher is None:
            return ()
        own = [self.evidence.row[row.positive_id], *(negative.passage for negative in row.negatives)]
        return tuple(logits(self.teacher.scores(row.question, [self.evidence.texts[place] for place in own])).tolist())

    def lexical(self, weight: float) -> Lexical:
        """What BM25 adds to cosines where it counts *weight* times."""

        def added(questions: Sequence[str], passages: Sequence[str]) -> FloatArray:
            columns = [self.row[text] for text in passages]
            scores = self.evidence.lexical.score_matrix(questions)
            return np.stack([weight * normalised_lexical(line)[columns] for line in scores]).astype(np.float32)

        return added

    def vectors(self, matrix: FloatArray) -> TextVectors:
        """The passages' vectors, `(n, dim)`, by text."""
        return lambda texts: matrix[[self.row[text] for text in texts]]


def _choose_alpha(
    evidence: Evidence,
    dev: Asked,
    encoder: Encoder,
    vectors: Vectors,
    trained: Path,
    default: float,
    work: Path,
    watch: Watch,
) -> float:
    """The alpha of the best merge on dev, over the passages that can make a difference there."""
    by_base = question_vectors(vectors.engine, encoder, dev.questions)
    rows = _dev_passages(dev, by_base, evidence.matrix(vectors))
    place = {int(row): position for position, row in enumerate(rows)}
    right = [frozenset(place[row] for row in right) for right in dev.right]
    dev_set = DevSet.of(evidence.lexical.score_matrix(dev.questions)[:, rows], right)
    texts = [evidence.texts[row] for row in rows]
    advance = watch("choose the merge on dev", len(ALPHAS))
    tried = []
    for alpha in ALPHAS if len(dev) else ALPHAS[:1]:
        folder = work / f"merged-{alpha}"
        merge_towers(encoder.folder, trained, alpha, folder)
        merged = Encoder.open(folder)
        weight, on_dev = best_weight(
            dev_set, merged.encode_queries(dev.questions), merged.encode_passages(texts), default
        )
        log.info("alpha %g, lexical weight %g: nDCG@10 %.4f on dev", alpha, weight, on_dev)
        tried.append((on_dev, alpha, weight))
        shutil.rmtree(folder)
        advance(1)
    return max(tried)[1]


def _dev_passages(dev: Asked, questions: FloatArray, passages: FloatArray) -> NDArray[np.int64]:
    """Rows of the dev questions' right passages and of the passages nearest to any dev question, DEV_PASSAGES in all."""
    right = {row for rows in dev.right for row in rows}
    nearest = np.full(len(passages), -1.0, np.float32)
    for start in range(0, len(questions), 256):
        np.maximum(nearest, (questions[start : start + 256] @ passages.T).max(axis=0), out=nearest)
    hardest = np.argsort(-nearest, kind="stable")[: max(0, DEV_PASSAGES - len(right))]
    return np.union1d(hardest, np.array(sorted(right), np.int64)).astype(np.int64)


def _by_source(rows: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        for negative in row.negatives:
            counts[negative.source] = counts.get(negative.source, 0) + 1
    return counts
