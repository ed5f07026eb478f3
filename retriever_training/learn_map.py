"""A tier-1 night's learning: rows from judgments, maps, the best on dev, saved as a model."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder
from rag.fusion import normalised_lexical
from rag.lexical import Lexical
from rag.question_vectors import question_vectors
from rag.vectors import Vectors
from retriever_training.adapter import RIDGES, STEPS, Rows, apply_map, fit_maps, merge, save_adapter
from retriever_training.candidate import Made, Watch
from retriever_training.evidence import Asked, Evidence, best_supported
from retriever_training.negatives.denoise import NEAR_DUPLICATE
from retriever_training.tune import DevSet, by_weight, mean, nearly_best

FloatArray = NDArray[np.float32]
Setting = tuple[float, float, float]  # ridge, alpha, lexical weight

ALPHAS = (1.0, 0.75, 0.5)
LEXICAL_SHARE = 0.5  # of BM25's weight in serving: half was best or nearly so on the dev questions of two sets
LEXICAL_KEPT = 1_000  # passages with the highest BM25 for a question; what the others get is lost in the softmax
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
    train, dev = evidence.asked("train"), evidence.held_out("dev")
    encoded = watch("encode questions", len(train) + len(dev))
    asked = question_vectors(vectors.engine, encoder, train.questions, encoded)
    dev_questions = question_vectors(vectors.engine, encoder, dev.questions, encoded)
    dev_set = DevSet.of(evidence.lexical.score_matrix(dev.questions), [frozenset(right) for right in dev.right])
    rows = training_rows(train, asked, passages, seed, evidence.lexical, LEXICAL_SHARE * default_weight)
    maps: dict[float, FloatArray] = {}
    tried: dict[Setting, NDArray[np.float64]] = {}
    for ridge, weights in fit_maps(rows, seed, watch("fit maps", STEPS * len(RIDGES))):
        maps[ridge] = weights
        for alpha in ALPHAS:
            mapped = apply_map(merge(weights, alpha), dev_questions)
            for weight, values in by_weight(dev_set, mapped, passages, default_weight).items():
                tried[ridge, alpha, weight] = values
            log.info("ridge %g, alpha %g: nDCG@10 %.4f on dev", ridge, alpha, mean(tried[ridge, alpha, default_weight]))
    ridge, alpha, weight = setting = plainest(nearly_best(tried), default_weight)
    on_dev, chosen = mean(tried[setting]), merge(maps[ridge], alpha)
    save_adapter(encoder.folder, chosen, work / "candidate")
    note = {"ridge": ridge, "alpha": alpha, "dev_ndcg@10": round(on_dev, 4), "n_train_questions": len(train),
            "n_dev_questions": len(dev), "n_rows": len(rows.weight), "seed": seed}  # fmt: skip
    positives = sorted({evidence.passage_ids[row] for right in train.right for row in best_supported(right)})
    return Made(work / "candidate", weight, positives, n_encoded, note)


def plainest(settings: Iterable[Setting], default_weight: float) -> Setting:
    """The one nearest to the usual: the library's lexical weight, the weakest ridge, and all of the map.

    The usual was best or nearly so on the dev questions of two sets; stronger ridges are for when dev objects.

    >>> plainest([(30.0, 1.0, 0.25), (10.0, 0.5, 0.25), (10.0, 1.0, 0.3)], 0.25)
    (10.0, 0.5, 0.25)
    """
    return min(settings, key=lambda setting: (abs(setting[2] - default_weight), setting[0], -setting[1]))


def training_rows(
    train: Asked, asked: FloatArray, passages: FloatArray, seed: int, lexical: Lexical, weight: float
) -> Rows:
    """One row for each best supported passage of each question, over the passages that take part.

    The question's other right passages are no negatives.
    *asked* `(q, dim)` and *passages* `(n, dim)` are by the base; *lexical* counts *weight* times.
    """
    taking_part = participants(train, asked, passages, seed)
    place = {int(row): position for position, row in enumerate(taking_part)}
    chosen = passages[taking_part]
    pairs = [
        (question, row, weight)
        for question, right in enumerate(train.right)
        for row, weight in best_supported(right).items()
    ]
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
        tuple(
            _lexical_bonus(weight * normalised_lexical(lexical.scores(question))[taking_part])
            for question in train.questions
        ),
    )


def _lexical_bonus(bonus: NDArray[np.float64]) -> tuple[NDArray[np.int64], FloatArray]:
    """The LEXICAL_KEPT places where BM25 adds most, and what it adds."""
    found = np.flatnonzero(bonus > 0)
    if len(found) > LEXICAL_KEPT:
        found = found[np.argpartition(-bonus[found], LEXICAL_KEPT)[:LEXICAL_KEPT]]
    return found.astype(np.int64), bonus[found].astype(np.float32)


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
