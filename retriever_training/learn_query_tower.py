"""A tier-2 night's learning: the query tower from judgments, a merge chosen on dev, saved beside the base's passages."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder
from rag.vectors import Vectors
from retriever_training.candidate import Made, Watch
from retriever_training.evidence import Evidence
from retriever_training.full import merge_towers
from retriever_training.query_rows import QuerySide
from retriever_training.query_tower import QueryTowerPlan, n_steps, save_query_tower, train_query_tower
from retriever_training.tune import by_weight, mean, nearly_best

FloatArray = NDArray[np.float32]
Setting = tuple[float, float]  # alpha, lexical weight

ALPHAS = (1.0, 0.8, 0.6)

log = logging.getLogger(__name__)


def learn_query_tower(
    evidence: Evidence,
    encoder: Encoder,
    vectors: Vectors,
    default_weight: float,
    work: Path,
    plan: QueryTowerPlan,
    watch: Watch,
) -> Made:
    """Trains the query side on the train judgments, chooses a merge with the base on dev, and saves both below *work*.

    *encoder* and *vectors* are the base's. A night that was killed starts over: it costs minutes.
    """
    side = QuerySide.gather(evidence, encoder, vectors, default_weight, plan.seed, watch)
    plan = replace(plan, bf16=encoder.prefers_bf16(evidence.texts))
    steps = watch("train the query tower", n_steps(len(side.rows.weight), plan))
    trained = work / "query-tower"
    train_query_tower(encoder.folder, side.questions, side.rows, plan, steps).save_pretrained(
        str(trained), create_model_card=False
    )
    tried: dict[Setting, NDArray[np.float64]] = {}
    advance = watch("choose the merge on dev", len(ALPHAS))
    for alpha in ALPHAS:
        merge_towers(encoder.folder, trained, alpha, work / f"merged-{alpha}")
        queries = Encoder.open(work / f"merged-{alpha}").encode_queries(side.dev.questions)
        for weight, values in by_weight(side.dev_set, queries, side.passages, default_weight).items():
            tried[alpha, weight] = values
        log.info("alpha %g: nDCG@10 %.4f on dev", alpha, mean(tried[alpha, default_weight]))
        advance(1)
    alpha, weight = setting = min(nearly_best(tried), key=lambda one: (abs(one[1] - default_weight), -one[0]))
    save_query_tower(encoder.folder, work / f"merged-{alpha}", work / "candidate")
    for folder in (trained, *work.glob("merged-*")):
        shutil.rmtree(folder)
    note = {"alpha": alpha, "dev_ndcg@10": round(mean(tried[setting]), 4), **side.counts(), **asdict(plan)}
    return Made(work / "candidate", weight, side.training_positives, side.n_encoded, note)
