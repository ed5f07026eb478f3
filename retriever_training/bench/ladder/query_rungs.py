"""Tiers 1 and 2 on the ladder, as they serve: their own steps, because they encode no passage and so have no such budget."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rag.embedding.encoder import Encoder
from retriever_training.bench.harness.workbench import Cost, EncodedSet, RungResult, TrainingBench
from retriever_training.bench.ladder.rungs import Rung
from retriever_training.progress import ProgressReporter
from retriever_training.tiers.learn_tier1 import ChosenMap, choose_map
from retriever_training.tiers.learn_tier2 import ChosenTower, choose_tower
from retriever_training.tiers.query_side_data import QuerySideData
from retriever_training.tiers.tier1_adapter import RIDGES, STEPS_PER_RIDGE, apply_map
from retriever_training.tiers.tier2_query_tower import QueryTowerPlan, count_query_tower_steps


def run_tier1(bench: TrainingBench, seed: int, watch: ProgressReporter) -> RungResult:
    """A linear map of the questions, chosen on dev as a night does."""
    started = time.perf_counter()
    chosen = train_tier1_map(bench, seed, watch)
    cost = Cost(train_s=time.perf_counter() - started)
    asked = apply_map(chosen.weights, bench.base.reported_vectors)
    return RungResult(
        bench.measure_at_weight(replace(bench.base, reported_vectors=asked), chosen.lexical_weight),
        cost,
        {"ridge": chosen.ridge, "alpha": chosen.alpha, "lexical_weight": chosen.lexical_weight},
    )


def run_tier2(bench: TrainingBench, seed: int, watch: ProgressReporter) -> RungResult:
    """The query side's transformer against all passage vectors, chosen on dev as a night does."""
    started = time.perf_counter()
    work = bench.folder / "models" / f"tier2-{seed}"
    shutil.rmtree(work, ignore_errors=True)
    chosen, steps = train_tier2_tower(bench, seed, work, watch)
    encoder = Encoder.open(chosen.folder)
    sight = EncodedSet(
        bench.base.passages,
        encoder.encode_queries(bench.data.dev.questions),
        encoder.encode_queries(list(bench.data.questions.values())),
    )
    shutil.rmtree(work)
    cost = Cost(train_s=time.perf_counter() - started)
    return RungResult(
        bench.measure_at_weight(sight, chosen.lexical_weight),
        cost,
        {"alpha": chosen.alpha, "lexical_weight": chosen.lexical_weight, "steps": steps},
    )


def train_tier1_map(bench: TrainingBench, seed: int, watch: ProgressReporter) -> ChosenMap:
    """Tier 1's map, and what dev said of it."""
    return choose_map(_side(bench, seed), seed, watch("train: tier 1", STEPS_PER_RIDGE * len(RIDGES)))


def train_tier2_tower(bench: TrainingBench, seed: int, work: Path, watch: ProgressReporter) -> tuple[ChosenTower, int]:
    """Tier 2's query tower, below *work*, and after how many steps."""
    side = _side(bench, seed)
    plan = QueryTowerPlan(seed=seed, bf16=bench.bf16)
    steps = count_query_tower_steps(len(side.rows.weight), plan)
    return choose_tower(side, bench.encoder.folder, work, plan, watch("train: tier 2", steps)), steps


def _side(bench: TrainingBench, seed: int) -> QuerySideData:
    data = bench.data
    return QuerySideData.between(
        data.train,
        data.dev,
        library=data.passages,
        lexical=data.lexical,
        vectors_of=bench.encoder.encode_queries,
        passages=bench.base.passages,
        default_weight=bench.default_weight,
        seed=seed,
    )


QUERY_RUNGS: Mapping[str, Rung] = {
    "tier1": Rung("tier 1: linear query map", run_tier1),
    "tier2": Rung("tier 2: query tower", run_tier2),
}
