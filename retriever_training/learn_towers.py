"""A tier-3 night's learning: rows with mined negatives, both towers, a merge chosen on dev, a new passage side."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder, Precision
from rag.question_vectors import question_vectors
from rag.vectors import Vectors
from retriever_training.candidate import Made, Watch
from retriever_training.evidence import Asked, Evidence, best_supported
from retriever_training.full import Example, Plan, merge_towers, n_steps, train_towers
from retriever_training.negatives.denoise import count_removed
from retriever_training.negatives.mine import Mine, View
from retriever_training.negatives.mix import Row, choose, mine_all
from retriever_training.tune import DevSet, best_weight

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
) -> Made:
    """Mines, trains, merges and re-encodes; everything below *work* is kept, so that a killed night goes on.

    *encoder* and *vectors* are the base's; *views* are the versions whose margins a negative has to respect.
    """
    mine, rows, removed = training_rows(evidence, views, plan.seed, watch)
    examples = [_example(evidence, row) for row in rows]
    plan = replace(plan, bf16=encoder.prefers_bf16(evidence.texts))
    trained = train_towers(
        encoder.folder, examples, work, plan, watch("train both towers", n_steps(len(examples), plan))
    )
    alpha = _choose_alpha(evidence, encoder, vectors, trained, default_weight, work, watch)
    made = work / "candidate"
    shutil.rmtree(made, ignore_errors=True)
    merge_towers(encoder.folder, trained, alpha, made)
    candidate = Encoder.open(made, precision=precision)
    side = Vectors(vectors.engine, candidate.passage_side)
    n_encoded = side.fill(candidate, watch("encode the library anew", side.missing()))
    weight, on_dev = _tune(evidence, candidate, side, default_weight)
    note = {"alpha": alpha, "dev_ndcg@10": round(on_dev, 4), "n_train_questions": len(mine), "n_rows": len(rows),
            "negatives": _by_source(rows), "removed": removed, "epochs": plan.epochs, "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate, "seed": plan.seed}  # fmt: skip
    return Made(made, weight, sorted({row.positive_id for row in rows}), n_encoded, note)


def training_rows(
    evidence: Evidence, views: Sequence[View], seed: int, watch: Watch
) -> tuple[Mine, list[Row], dict[str, int]]:
    """The night's rows with their negatives, and how many candidates were removed, by reason."""
    train = evidence.asked("train")
    mine = make_mine(evidence, train, views[-1], seed)
    advance = watch("mine negatives", len(mine))
    by_source = mine_all(mine, views, evidence.texts, finders=("feedback", "dense", "bm25", "random"))
    rows = []
    for place, question in enumerate(train.questions):
        negatives = tuple(choose(by_source, place, N_NEGATIVES))
        for row, weight in best_supported(train.right[place]).items():
            rows.append(Row(question, evidence.passage_ids[row], weight, negatives))
        advance(1)
    removed = count_removed(mined for source in by_source.values() for mined in source)
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
    )


def _example(evidence: Evidence, row: Row) -> Example:
    negatives = tuple(evidence.texts[negative.passage] for negative in row.negatives)
    return Example(row.question, evidence.texts[evidence.row[row.positive_id]], negatives)


def _choose_alpha(
    evidence: Evidence, encoder: Encoder, vectors: Vectors, trained: Path, default: float, work: Path, watch: Watch
) -> float:
    """The alpha of the best merge on dev, over the passages that can make a difference there."""
    dev = evidence.held_out("dev")
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


def _tune(evidence: Evidence, candidate: Encoder, side: Vectors, default: float) -> tuple[float, float]:
    """The lexical weight of the model as it will serve, over the whole library."""
    dev = evidence.held_out("dev")
    dev_set = DevSet.of(evidence.lexical.score_matrix(dev.questions), [frozenset(right) for right in dev.right])
    questions = candidate.encode_queries(dev.questions)
    return best_weight(dev_set, questions, evidence.matrix(side), default)


def _by_source(rows: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        for negative in row.negatives:
            counts[negative.source] = counts.get(negative.source, 0) + 1
    return counts
