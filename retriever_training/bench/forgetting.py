"""What a version lost on sets that it was not trained on: next to the base, question by question.

BM25 counts as much next to the base as next to the version, namely as the version says: else a weight that suits one set
less would pass for something forgotten, or hide it. What a set's users would see, each side at its own weight, is
reported next to it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from eval.statistics.significance import compare_paired
from rag.arrays import DoubleArray, FloatArray
from rag.embedding.encoder import Encoder
from rag.errors import UsageError
from rag.versions.registry import RETRIEVAL_FILE
from retriever_training.bench.harness.disk_cache import cached_figures, cached_vectors
from retriever_training.bench.harness.reported_set import SCORE_NAMES, NdcgValues, ReportedSet
from retriever_training.bench.harness.workbench import TrainingBench
from retriever_training.bench.ladder.query_rungs import train_tier1_map, train_tier2_tower
from retriever_training.bench.ladder.rungs import choose_merge, train_or_load
from retriever_training.progress import ProgressReporter
from retriever_training.tiers.tier1_adapter import save_adapter
from retriever_training.tiers.tier2_query_tower import save_query_tower
from retriever_training.tiers.tier3_both_towers import merge_towers

CHANGE_KINDS = ("served", "dense", "own_weights")
"""What is served and dense alone, both at the version's lexical weight; what is served, each at its own weight."""

MIN_MEAN_CHANGE = -0.005  # nDCG@10, mean over the sets: what a version may lose if it was not trained


@dataclass(frozen=True, slots=True)
class WeightedModel:
    """A version on disk, and how much BM25 counts next to it."""

    folder: Path
    lexical_weight: float


@dataclass(frozen=True, slots=True)
class SetComparison:
    """nDCG@10 of every question of one set, by the base and by a version, at the version's lexical weight."""

    base: NdcgValues
    version: NdcgValues
    installed: Mapping[str, float]
    """Served by the base at its own lexical weight."""


# ---- versions


def read_model(folder: Path, default_weight: float) -> WeightedModel:
    """The version in a folder; one that does not say how much BM25 counts gets *default_weight*."""
    file = folder / RETRIEVAL_FILE
    weight = json.loads(file.read_text("utf-8"))["lexical_weight"] if file.is_file() else default_weight
    return WeightedModel(folder, float(weight))


def train_or_load_model(bench: TrainingBench, tier: int, seed: int, watch: ProgressReporter) -> WeightedModel:
    """What a night of this tier makes of the bench's train labels, by the code that the ladder measures.

    It stays below `bench.folder`; a later run trains nothing.
    """
    made = bench.folder / "versions" / f"tier{tier}-{seed}"
    work = bench.folder / "models" / f"tier{tier}-{seed}"

    def make() -> dict[str, float]:
        for leftover in (made, work):
            shutil.rmtree(leftover, ignore_errors=True)
        weight = TRAINER_OF_TIER[tier](bench, seed, made, work, watch)
        shutil.rmtree(work, ignore_errors=True)
        return {"lexical_weight": weight}

    return WeightedModel(made, cached_figures(made.with_suffix(".json"), make)["lexical_weight"])


def _tier1(bench: TrainingBench, seed: int, made: Path, _work: Path, watch: ProgressReporter) -> float:
    chosen = train_tier1_map(bench, seed, watch)
    save_adapter(bench.encoder.folder, chosen.weights, made)
    return chosen.lexical_weight


def _tier2(bench: TrainingBench, seed: int, made: Path, work: Path, watch: ProgressReporter) -> float:
    chosen, _ = train_tier2_tower(bench, seed, work, watch)
    save_query_tower(bench.encoder.folder, chosen.folder, made)
    return chosen.lexical_weight


def _tier3(bench: TrainingBench, seed: int, made: Path, _work: Path, watch: ProgressReporter) -> float:
    towers, _, _ = train_or_load("night", bench, seed, watch)
    alpha, sight = choose_merge(bench, towers, watch)
    merge_towers(bench.encoder.folder, towers, alpha, made)
    _, weight = bench.measured(sight)
    shutil.rmtree(towers.parent)
    return weight


TRAINER_OF_TIER = {1: _tier1, 2: _tier2, 3: _tier3}


# ---- measuring


def check_not_trained_on(sets: Sequence[ReportedSet], trained_on: ReportedSet) -> None:
    """Raises:
    UsageError: one of *sets* is the one that was trained on.
    """
    for dataset in sets:
        if dataset.sha256 == trained_on.sha256:
            raise UsageError(
                f"{dataset.name!r} is what the version is trained on, which can't show what it forgets: "
                "name other folders with --on"
            )


def measure_model(
    some: ReportedSet, base: Encoder, model: WeightedModel, default_weight: float, folder: Path, watch: ProgressReporter
) -> SetComparison:
    """Encodes the set by the version, or reads the vectors that *folder* keeps.

    If the version's passage side is the base's, as in tiers 1 and 2, only questions are encoded: the passages of a
    set that it was not trained on lie if the base puts them.
    """
    version = Encoder.open(model.folder)
    asked = cached_vectors(folder, version.encoder_id, list(some.questions.values()), version.encode_queries)
    passages = some.passages
    if version.passage_side != base.passage_side:
        advance = watch(f"encode {some.name} anew", len(some.texts))
        passages = cached_vectors(
            folder, version.passage_side, some.texts, lambda texts: version.encode_passages(texts, advance)
        )
    return compare_with_base(some, asked, passages, model.lexical_weight, default_weight)


def compare_with_base(
    some: ReportedSet, asked: FloatArray, passages: FloatArray, weight: float, default_weight: float
) -> SetComparison:
    """The set by a version that sees it like this, and by the base, both with BM25 at *weight*."""
    base = some.values(some.asked, some.passages, weight)
    installed = base if weight == default_weight else some.values(some.asked, some.passages, default_weight)
    return SetComparison(base, some.values(asked, passages, weight), installed["served"])


# ---- what it comes to


def summarise_set(name: str, seeds: Sequence[SetComparison]) -> dict[str, Any]:
    """One set in `nightjar bench forgetting --json`; every question is averaged over the seeds first."""
    told: dict[str, Any] = {"name": name, "n_questions": len(seeds[0].installed)}
    for side in SCORE_NAMES:
        before = _averaged([seed.base[side] for seed in seeds])
        after = _averaged([seed.version[side] for seed in seeds])
        told[side] = _compared(before, after)
    own_weights = _averaged([seed.installed for seed in seeds])
    told["own_weights"] = _compared(own_weights, _averaged([seed.version["served"] for seed in seeds]))
    told["served_by_seed"] = [round(served_change(seed), 5) for seed in seeds]
    return told


def served_change(one: SetComparison) -> float:
    """The served figure of the version minus that of the base, as the mean over the questions."""
    return float(_averaged([one.version["served"]]).mean() - _averaged([one.base["served"]]).mean())


def mean_changes(sets: Mapping[str, Sequence[SetComparison]]) -> dict[str, dict[str, float]]:
    """The means of the sets' changes, each set counting the same, with 95 % intervals over their questions.

    Under "served", "dense" and "own_weights", as in `told_of`.
    """

    def change(seeds: Sequence[SetComparison], side: str) -> DoubleArray:
        before = [seed.installed if side == "own_weights" else seed.base[side] for seed in seeds]
        after = [seed.version["served" if side == "own_weights" else side] for seed in seeds]
        return _averaged(after) - _averaged(before)

    return {side: mean_of_means([change(seeds, side) for seeds in sets.values()]) for side in CHANGE_KINDS}


def mean_of_means(samples: Sequence[DoubleArray]) -> dict[str, float]:
    """The mean of the samples' means, and 1.96 standard errors on either side; the samples are independent.

    >>> mean_of_means([np.array([0.0, 0.2]), np.array([0.5, 0.5])])
    {'difference': 0.3, 'low': 0.202, 'high': 0.398}
    """
    mean = sum(float(sample.mean()) for sample in samples) / len(samples)
    error = sqrt(sum(float(sample.var(ddof=1)) / len(sample) for sample in samples)) / len(samples)
    return {"difference": round(mean, 5), "low": round(mean - 1.96 * error, 5), "high": round(mean + 1.96 * error, 5)}


def judge_forgetting(sets: Sequence[Mapping[str, Any]], mean: Mapping[str, float]) -> dict[str, Any]:
    """Whether the mean is above BAR, and which set lost most."""
    worst = min(sets, key=lambda one: float(one["served"]["difference"]))
    return {
        "bar": MIN_MEAN_CHANGE,
        "holds": mean["difference"] >= MIN_MEAN_CHANGE,
        "worst_set": worst["name"],
        "worst": worst["served"]["difference"],
        "n_sets_below": sum(dataset["served"]["difference"] < MIN_MEAN_CHANGE for dataset in sets),
    }


def _averaged(seeds: Sequence[Mapping[str, float]]) -> DoubleArray:
    """`(q,)`."""
    return np.asarray(np.mean([list(seed.values()) for seed in seeds], axis=0), np.float64)


def _compared(before: DoubleArray, after: DoubleArray) -> dict[str, float]:
    found = compare_paired(before, after)
    figures = {
        "base": found.mean_current,
        "version": found.mean_candidate,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p,
    }
    return {name: round(value, 5) for name, value in figures.items()}
