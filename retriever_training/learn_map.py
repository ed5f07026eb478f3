"""A tier-1 night's learning: rows from judgments, maps, the best on dev, saved as a model."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder
from rag.vectors import Vectors
from retriever_training.adapter import RIDGES, STEPS, Rows, apply_map, fit_maps, merge, save_adapter
from retriever_training.candidate import Made, Watch
from retriever_training.evidence import Asked, Evidence
from retriever_training.negatives.denoise import NEAR_DUPLICATE
from retriever_training.question_vectors import question_vectors
from retriever_training.tune import DevSet, best_weight

FloatArray = NDArray[np.float32]

ALPHAS = (1.0, 0.75, 0.5)
MAX_PASSAGES = 20_000  # in the softmax; a larger library takes part by its hardest and by random passages

log = logging.getLogger(__name__)


def learn_map(
    evidence: Evidence,
    encoder: Encoder,
    vectors: Vectors,
    default_weight: float,
    work: Path,
    seed: int,
    watch: Watch,
) -> Made:
    """Fits maps on the train judgments, chooses one on dev, and saves it below *work*.

    *encoder* and *vectors* are the base's.
    """
    n_encoded = vectors.fill(encoder, watch("encode passages", vectors.missing()))
    passages = evidence.matrix(vectors)
    train, dev = evidence.asked("train"), evidence.asked("dev").judged_right()
    encoded = watch("encode questions", len(train) + len(dev))
    asked = question_vectors(vectors.engine, encoder, train.questions, encoded)
    dev_questions = question_vectors(vectors.engine, encoder, dev.questions, encoded)
    dev_set = DevSet.of(evidence.lexical.score_matrix(dev.questions), [frozenset(right) for right in dev.right])
    rows = training_rows(train, asked, passages, seed)
    tried = []
    for ridge, weights in fit_maps(rows, seed, watch("fit maps", STEPS * len(RIDGES))):
        for alpha in ALPHAS:
            mapped = apply_map(merge(weights, alpha), dev_questions)
            weight, on_dev = best_weight(dev_set, mapped, passages, default_weight)
            tried.append((on_dev, ridge, alpha, weight, merge(weights, alpha)))
            log.info("ridge %g, alpha %g, lexical weight %g: nDCG@10 %.4f on dev", ridge, alpha, weight, on_dev)
    on_dev, ridge, alpha, weight, chosen = max(tried, key=lambda one: one[0])
    save_adapter(encoder.folder, chosen, work / "candidate")
    note = {"ridge": ridge, "alpha": alpha, "dev_ndcg@10": round(on_dev, 4), "n_train_questions": len(train),
            "n_dev_questions": len(dev), "n_rows": len(rows.weight), "seed": seed}  # fmt: skip
    positives = sorted({evidence.passage_ids[row] for right in train.right for row in right})
    return Made(work / "candidate", weight, positives, n_encoded, note)


def training_rows(train: Asked, asked: FloatArray, passages: FloatArray, seed: int) -> Rows:
    """One row for each right passage of each question, over the passages that take part.

    *asked* `(q, dim)` and *passages* `(n, dim)` are by the base.
    """
    taking_part = participants(train, asked, passages, seed)
    place = {int(row): position for position, row in enumerate(taking_part)}
    chosen = passages[taking_part]
    pairs = [(question, row, weight) for question, right in enumerate(train.right) for row, weight in right.items()]
    masked = []
    for question, row, _ in pairs:
        others = [place[other] for other in train.right[question] if other != row]
        twins = np.flatnonzero(chosen @ passages[row] >= NEAR_DUPLICATE)
        masked.append(np.union1d(np.array(others, np.int64), twins).astype(np.int64))
    return Rows(
        asked,
        chosen,
        np.array([question for question, _, _ in pairs], np.int64),
        np.array([place[row] for _, row, _ in pairs], np.int64),
        np.array([weight for _, _, weight in pairs], np.float32),
        tuple(masked),
        tuple(np.array([place[row] for row in train.rejected[question]], np.int64) for question, _, _ in pairs),
    )


def participants(train: Asked, asked: FloatArray, passages: FloatArray, seed: int) -> NDArray[np.int64]:
    """Rows of the passages in the softmax: all of them, or what was judged, the hardest for any question, and a sample."""
    n = len(passages)
    if n <= MAX_PASSAGES:
        return np.arange(n)
    judged = {row for right in train.right for row in right} | {row for rows in train.rejected for row in rows}
    hardest = np.full(n, -1.0, np.float32)
    for start in range(0, len(asked), 256):
        np.maximum(hardest, (asked[start : start + 256] @ passages.T).max(axis=0), out=hardest)
    half = (MAX_PASSAGES - len(judged)) // 2
    near = np.argsort(-hardest, kind="stable")[: max(half, 0)]
    sample = np.random.default_rng(seed).choice(n, max(half, 0), replace=False)
    return np.unique(np.concatenate([near, sample, np.array(sorted(judged), np.int64)])).astype(np.int64)
