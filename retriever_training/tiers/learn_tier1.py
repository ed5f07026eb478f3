"""A tier-1 night's learning: maps from judgments, the best on dev, saved as a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import Vectors
from retriever_training.judgments.snapshot import Evidence
from retriever_training.progress import Made, Watch
from retriever_training.tiers.model_selection import by_weight, mean, nearly_best
from retriever_training.tiers.query_side_data import QuerySide
from retriever_training.tiers.tier1_adapter import RIDGES, STEPS, apply_map, fit_maps, merge, save_adapter

FloatArray = NDArray[np.float32]
Setting = tuple[float, float, float]  # ridge, alpha, lexical weight

ALPHAS = (1.0, 0.75, 0.5)

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
    side = QuerySide.gather(evidence, encoder, vectors, default_weight, seed, watch)
    chosen = choose_map(side, seed, watch("fit maps", STEPS * len(RIDGES)))
    save_adapter(encoder.folder, chosen.weights, work / "candidate")
    note = {"ridge": chosen.ridge, "alpha": chosen.alpha, "dev_ndcg@10": round(chosen.dev_ndcg, 4), **side.counts(),
            "seed": seed}  # fmt: skip
    return Made(work / "candidate", chosen.lexical_weight, side.training_positives, side.n_encoded, note)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A map, and what dev said of it."""

    weights: FloatArray
    """`(dim, dim)`, merged with the identity already."""
    lexical_weight: float
    ridge: float
    alpha: float
    dev_ndcg: float


def choose_map(side: QuerySide, seed: int, progress: Callable[[int], None] = lambda n: None) -> Chosen:
    """Fits maps of several ridges, merges each with the identity, and lets dev choose among them and the weights."""
    maps: dict[float, FloatArray] = {}
    tried: dict[Setting, NDArray[np.float64]] = {}
    for ridge, weights in fit_maps(side.rows, seed, progress):
        maps[ridge] = weights
        for alpha in ALPHAS:
            mapped = apply_map(merge(weights, alpha), side.dev_questions)
            for weight, values in by_weight(side.dev_set, mapped, side.passages, side.usual_weight).items():
                tried[ridge, alpha, weight] = values
            on_dev = mean(tried[ridge, alpha, side.usual_weight])
            log.info("ridge %g, alpha %g: nDCG@10 %.4f on dev", ridge, alpha, on_dev)
    ridge, alpha, weight = setting = plainest(nearly_best(tried), side.usual_weight)
    return Chosen(merge(maps[ridge], alpha), weight, ridge, alpha, mean(tried[setting]))


def plainest(settings: Iterable[Setting], usual_weight: float) -> Setting:
    """The one nearest to the usual: the usual lexical weight, the weakest ridge, and all of the map.

    The usual was best or nearly so on the dev questions of two sets; stronger ridges are for when dev objects.

    >>> plainest([(30.0, 1.0, 0.15), (10.0, 0.5, 0.15), (10.0, 1.0, 0.3)], 0.15)
    (10.0, 0.5, 0.15)
    """
    return min(settings, key=lambda setting: (abs(setting[2] - usual_weight), setting[0], -setting[1]))
