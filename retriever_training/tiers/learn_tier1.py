"""Learning of a tier-1 night: fits maps on judgments, chooses one on dev, and saves it as a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import PassageVectors
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.progress import ProgressReporter, TrainedModel
from retriever_training.tiers.model_selection import mean_or_zero, ndcg_by_lexical_weight, within_one_standard_error
from retriever_training.tiers.query_side_data import QuerySideData
from retriever_training.tiers.tier1_adapter import RIDGES, STEPS_PER_RIDGE, apply_map, fit_maps, merge_map, save_adapter

Setting = tuple[float, float, float]  # ridge, alpha, lexical weight

ALPHAS = (1.0, 0.75, 0.5)

log = logging.getLogger(__name__)


def learn_map(
    evidence: TrainingSnapshot,
    encoder: Encoder,
    vectors: PassageVectors,
    default_weight: float,
    work: Path,
    seed: int,
    watch: ProgressReporter,
) -> TrainedModel:
    """Fits maps on the train judgments, chooses one on dev, and saves it in *work*.

    *encoder* and *vectors* are the base's.
    """
    side = QuerySideData.gather(
        evidence, encoder, vectors=vectors, default_weight=default_weight, seed=seed, watch=watch
    )
    chosen = choose_map(side, seed, watch("fit maps", STEPS_PER_RIDGE * len(RIDGES)))
    save_adapter(encoder.folder, chosen.weights, work / "candidate")
    note = {
        "ridge": chosen.ridge,
        "alpha": chosen.alpha,
        "dev_ndcg@10": round(chosen.dev_ndcg, 4),
        **side.counts(),
        "seed": seed,
    }
    return TrainedModel(
        folder=work / "candidate",
        lexical_weight=chosen.lexical_weight,
        training_positives=side.training_positives,
        n_encoded=side.n_encoded,
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenMap:
    """A map, with the settings that dev chose and its score there."""

    weights: FloatArray
    """`(dim, dim)`, already merged with the identity."""
    lexical_weight: float
    ridge: float
    alpha: float
    dev_ndcg: float


def choose_map(side: QuerySideData, seed: int, progress: Callable[[int], None] = lambda n: None) -> ChosenMap:
    """Fits maps of several ridges, merges each with the identity, and chooses among them and the lexical weights on dev."""
    maps: dict[float, FloatArray] = {}
    tried: dict[Setting, NDArray[np.float64]] = {}
    for ridge, weights in fit_maps(side.rows, seed, progress):
        maps[ridge] = weights
        for alpha in ALPHAS:
            mapped = apply_map(merge_map(weights, alpha), side.dev_question_vectors)
            for weight, values in ndcg_by_lexical_weight(
                side.dev_set, mapped, side.passages, side.default_lexical_weight
            ).items():
                tried[ridge, alpha, weight] = values
            on_dev = mean_or_zero(tried[ridge, alpha, side.default_lexical_weight])
            log.info("ridge %g, alpha %g: nDCG@10 %.4f on dev", ridge, alpha, on_dev)
    ridge, alpha, weight = setting = choose_plainest(within_one_standard_error(tried), side.default_lexical_weight)
    return ChosenMap(
        weights=merge_map(maps[ridge], alpha),
        lexical_weight=weight,
        ridge=ridge,
        alpha=alpha,
        dev_ndcg=mean_or_zero(tried[setting]),
    )


def choose_plainest(settings: Iterable[Setting], usual_weight: float) -> Setting:
    """Returns the setting nearest to the usual one: the usual lexical weight, the weakest ridge, and the whole map.

    The usual one was best or nearly so on the dev questions of two sets; stronger ridges are for when dev objects.

    >>> choose_plainest([(30.0, 1.0, 0.15), (10.0, 0.5, 0.15), (10.0, 1.0, 0.3)], 0.15)
    (10.0, 0.5, 0.15)
    """
    return min(settings, key=lambda setting: (abs(setting[2] - usual_weight), setting[0], -setting[1]))
