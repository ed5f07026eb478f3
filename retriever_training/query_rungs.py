"""Tiers 1 and 2 on the ladder, as they serve: their own steps, for they encode no passage and so have no such budget."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder
from retriever_training import learn_map, learn_query_tower
from retriever_training.adapter import RIDGES, STEPS, apply_map, fit_maps, merge
from retriever_training.all_passages import Rows
from retriever_training.candidate import Watch
from retriever_training.full import merge_towers
from retriever_training.ladder import Rung
from retriever_training.query_rows import LEXICAL_SHARE, training_rows
from retriever_training.query_tower import QueryTowerPlan, n_steps, train_query_tower
from retriever_training.tune import by_weight, nearly_best
from retriever_training.workbench import Bench, Climbed, Cost, Sight


def tier1(bench: Bench, seed: int, watch: Watch) -> Climbed:
    """A linear map of the questions; ridge, merge and BM25's weight chosen on dev as a night does."""
    started = time.perf_counter()
    rows = _rows(bench, seed)
    maps = {}
    tried: dict[learn_map.Setting, NDArray[np.float64]] = {}
    for ridge, weights in fit_maps(rows, seed, watch("train: tier 1", STEPS * len(RIDGES))):
        maps[ridge] = weights
        for alpha in learn_map.ALPHAS:
            dev = apply_map(merge(weights, alpha), bench.base.dev)
            for weight, values in by_weight(bench.dev_set, dev, bench.base.passages, bench.default_weight).items():
                tried[ridge, alpha, weight] = values
    ridge, alpha, weight = learn_map.plainest(nearly_best(tried), bench.default_weight)
    cost = Cost(train_s=time.perf_counter() - started)
    asked = apply_map(merge(maps[ridge], alpha), bench.base.reported)
    return Climbed(bench.at_weight(replace(bench.base, reported=asked), weight), cost,
                   {"ridge": ridge, "alpha": alpha, "lexical_weight": weight})  # fmt: skip


def tier2(bench: Bench, seed: int, watch: Watch) -> Climbed:
    """The query side's transformer against all passage vectors; merge and BM25's weight chosen on dev as a night does."""
    started = time.perf_counter()
    work = bench.folder / "models" / f"tier2-{seed}"
    shutil.rmtree(work, ignore_errors=True)
    rows = _rows(bench, seed)
    plan = QueryTowerPlan(seed=seed, bf16=bench.bf16, frozen_layers=bench.budget.frozen_layers)
    steps = n_steps(len(rows.weight), plan)
    model = train_query_tower(bench.encoder.folder, bench.data.train.questions, rows, plan,
                              watch("train: tier 2", steps))  # fmt: skip
    model.save_pretrained(str(work / "tower"), create_model_card=False)
    sights: dict[float, Sight] = {}
    tried: dict[learn_query_tower.Setting, NDArray[np.float64]] = {}
    for alpha in learn_query_tower.ALPHAS:
        merge_towers(bench.encoder.folder, work / "tower", alpha, work / "merged")
        sights[alpha] = _asked_by(Encoder.open(work / "merged"), bench)
        shutil.rmtree(work / "merged")
        passages = bench.base.passages
        for weight, values in by_weight(bench.dev_set, sights[alpha].dev, passages, bench.default_weight).items():
            tried[alpha, weight] = values
    alpha, weight = min(nearly_best(tried), key=lambda one: (abs(one[1] - bench.default_weight), -one[0]))
    shutil.rmtree(work)
    cost = Cost(train_s=time.perf_counter() - started)
    return Climbed(bench.at_weight(sights[alpha], weight), cost,
                   {"alpha": alpha, "lexical_weight": weight, "steps": steps})  # fmt: skip


def _rows(bench: Bench, seed: int) -> Rows:
    return training_rows(bench.data.train, bench.train_questions, bench.base.passages, seed, bench.data.lexical,
                         LEXICAL_SHARE * bench.default_weight)  # fmt: skip


def _asked_by(encoder: Encoder, bench: Bench) -> Sight:
    """The questions by *encoder*, the passages by the base."""
    reported = encoder.encode_queries(list(bench.data.questions.values()))
    return Sight(bench.base.passages, encoder.encode_queries(bench.data.dev.questions), reported)


RUNGS: Mapping[str, Rung] = {
    "tier1": Rung("tier 1: linear query map", tier1),
    "tier2": Rung("tier 2: query tower", tier2),
}
