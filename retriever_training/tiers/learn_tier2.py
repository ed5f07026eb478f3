"""Learning of a tier-2 night: trains the query tower on judgments, and saves a merge chosen on dev with the base."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import PassageVectors
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.progress import ProgressReporter, TrainedModel
from retriever_training.tiers.model_selection import mean_or_zero, ndcg_by_lexical_weight, within_one_standard_error
from retriever_training.tiers.query_side_data import QuerySideData
from retriever_training.tiers.tier2_query_tower import (
    QueryTowerPlan,
    count_query_tower_steps,
    save_query_tower,
    train_query_tower,
)
from retriever_training.tiers.tier3_both_towers import merge_towers

Setting = tuple[float, float]  # alpha, lexical weight

ALPHAS = (1.0, 0.8, 0.6)
TRIALS_FOLDER = "query-towers"  # the folder of a night's trained and merged towers

log = logging.getLogger(__name__)


def learn_query_tower(
    evidence: TrainingSnapshot,
    encoder: Encoder,
    vectors: PassageVectors,
    default_weight: float,
    work: Path,
    plan: QueryTowerPlan,
    watch: ProgressReporter,
) -> TrainedModel:
    """Trains the query side on the train judgments, chooses a merge with the base on dev, and saves both in *work*.

    *encoder* and *vectors* are the base's. A night that was killed starts over, because this takes minutes only.
    """
    side = QuerySideData.gather(
        evidence, encoder, vectors=vectors, default_weight=default_weight, seed=plan.seed, watch=watch
    )
    plan = replace(plan, bf16=encoder.prefers_bf16(evidence.texts))
    steps = watch("train the query tower", count_query_tower_steps(len(side.rows.weight), plan))
    chosen = choose_tower(side, encoder.folder, work, plan, steps)
    save_query_tower(encoder.folder, chosen.folder, work / "candidate")
    shutil.rmtree(work / TRIALS_FOLDER)
    note = {"alpha": chosen.alpha, "dev_ndcg@10": round(chosen.dev_ndcg, 4), **side.counts(), **asdict(plan)}
    return TrainedModel(
        folder=work / "candidate",
        lexical_weight=chosen.lexical_weight,
        training_positives=side.training_positives,
        n_encoded=side.n_encoded,
        note=note,
    )


@dataclass(frozen=True, slots=True)
class ChosenTower:
    """A query tower, with the settings that dev chose and its score there."""

    folder: Path
    """The folder of the tower, already merged with the base."""
    lexical_weight: float
    alpha: float
    dev_ndcg: float


def choose_tower(
    side: QuerySideData, base: Path, work: Path, plan: QueryTowerPlan, progress: Callable[[int], None] = lambda n: None
) -> ChosenTower:
    """Trains a tower from *base*, and merges it with the base as far as dev says; all files are in *work*."""
    trials = work / TRIALS_FOLDER
    train_query_tower(base, side.questions, side.rows, plan, progress).save_pretrained(
        str(trials / "trained"), create_model_card=False
    )
    tried: dict[Setting, NDArray[np.float64]] = {}
    for alpha in ALPHAS:
        merge_towers(base, trials / "trained", alpha, trials / f"{alpha}")
        queries = Encoder.open(trials / f"{alpha}").encode_queries(side.dev.questions)
        for weight, values in ndcg_by_lexical_weight(
            side.dev_set, queries, side.passages, side.default_lexical_weight
        ).items():
            tried[alpha, weight] = values
        log.info("alpha %g: nDCG@10 %.4f on dev", alpha, mean_or_zero(tried[alpha, side.default_lexical_weight]))
    alpha, weight = setting = min(
        within_one_standard_error(tried), key=lambda one: (abs(one[1] - side.default_lexical_weight), -one[0])
    )
    return ChosenTower(trials / f"{alpha}", weight, alpha, mean_or_zero(tried[setting]))
