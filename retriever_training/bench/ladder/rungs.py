"""The ladder of the literature: both towers from the base, by the same steps over as many passages, whatever the rows."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rag.embedding.encoder import Encoder
from retriever_training.bench.harness.workbench import Cost, EncodedSet, RungResult, TrainingBench
from retriever_training.bench.ladder.rows import RECIPES, Recipe, lexical_bonus, make_rows, vectors_by_base
from retriever_training.negatives.candidates.records import VersionView
from retriever_training.progress import ProgressReporter
from retriever_training.tiers.learn_tier3 import ALPHAS
from retriever_training.tiers.model_selection import choose_lexical_weight
from retriever_training.tiers.tier3_both_towers import TrainingExample, merge_towers, needs_base_vectors, train_towers

RungFunction = Callable[[TrainingBench, int, ProgressReporter], RungResult]
"""Takes the bench, a seed, and who watches."""

REUSED_RECIPES = ("in_batch", "dense_cleaned")  # their models are kept: later rungs start there


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to make a retriever."""

    label: str
    """For tables and plots."""
    run: RungFunction
    is_seeded: bool = True
    """Whether another seed makes another one."""
    is_baseline: bool = False
    """Whether it is what a user would do instead."""


def run_base(bench: TrainingBench, _seed: int, _watch: ProgressReporter) -> RungResult:
    """Measures the base without any training."""
    values, weight = bench.measured(bench.base)
    return RungResult(values, Cost(), {"lexical_weight": weight})


def run_towers(name: str, bench: TrainingBench, seed: int, watch: ProgressReporter) -> RungResult:
    """Trains by one of RECIPES, encodes the library by what comes out, and measures it."""
    folder, cost, note = train_or_load(name, bench, seed, watch)
    started = time.perf_counter()
    sight = bench.look(Encoder.open(folder), watch)
    cost += Cost(encode_s=time.perf_counter() - started, n_encoded=len(sight.passages))
    values, weight = bench.measured(sight)
    if name not in REUSED_RECIPES:
        shutil.rmtree(folder.parent)
    return RungResult(values, cost, {**note, "lexical_weight": weight})


def run_merged(name: str, bench: TrainingBench, seed: int, watch: ProgressReporter) -> RungResult:
    """A recipe's version, moved back towards the base as far as dev likes it best (WiSE-FT, Wortsman et al. 2022)."""
    folder, cost, note = train_or_load(name, bench, seed, watch)
    started = time.perf_counter()
    alpha, sight = choose_merge(bench, folder, watch)
    if name not in REUSED_RECIPES:
        shutil.rmtree(folder.parent)
    values, weight = bench.measured(sight)
    cost += Cost(encode_s=time.perf_counter() - started, n_encoded=len(ALPHAS) * len(sight.passages))
    return RungResult(values, cost, {**note, "alpha": alpha, "lexical_weight": weight})


def choose_merge(bench: TrainingBench, towers: Path, watch: ProgressReporter) -> tuple[float, EncodedSet]:
    """How much of the trained *towers* dev likes best next to the base, and how that version sees the set."""
    tried = []
    for alpha in ALPHAS:
        made = towers.parent / "merged"
        shutil.rmtree(made, ignore_errors=True)
        merge_towers(bench.encoder.folder, towers, alpha, made)
        sight = bench.look(Encoder.open(made), watch)
        _, on_dev = choose_lexical_weight(bench.dev_set, sight.dev, sight.passages, bench.default_weight)
        tried.append((on_dev, alpha, sight))
        shutil.rmtree(made)
    _, alpha, sight = max(tried, key=lambda one: one[:2])
    return alpha, sight


def train_or_load(
    name: str, bench: TrainingBench, seed: int, watch: ProgressReporter
) -> tuple[Path, Cost, dict[str, Any]]:
    """The model's folder, what it took to make, and a note; at once if an earlier rung has made it.

    One that was killed is made again, so that its seconds are those of one training.
    """
    work = bench.folder / "models" / f"{name}-{seed}"
    told = work / "made.json"
    if told.exists():
        made = json.loads(told.read_text("utf-8"))
        return work / "towers", Cost(**made["cost"]), made["note"]
    shutil.rmtree(work, ignore_errors=True)
    earlier, cost = _earlier(RECIPES[name], bench, seed, watch)
    started = time.perf_counter()
    rows = make_rows(RECIPES[name], bench, seed, earlier)
    cost += Cost(mine_s=time.perf_counter() - started)
    started = time.perf_counter()
    folder = _train(
        RECIPES[name],
        bench,
        examples=rows.examples,
        seed=seed,
        work=work,
        progress=watch(f"train: {name}", bench.budget.steps),
    )
    cost += Cost(train_s=time.perf_counter() - started, n_trained=bench.budget.steps * bench.budget.passages)
    note = {"negatives": dict(rows.sources), "removed": dict(rows.removed)} if rows.sources else {}
    told.write_text(json.dumps({"cost": asdict(cost), "note": note}), "utf-8")
    return folder, cost, note


def _earlier(
    recipe: Recipe, bench: TrainingBench, seed: int, watch: ProgressReporter
) -> tuple[list[VersionView], Cost]:
    """How the earlier version sees the train questions and the passages, which it encodes; what that and it took."""
    if not recipe.earlier:
        return [], Cost()
    folder, cost, _ = train_or_load(recipe.earlier, bench, seed, watch)
    started = time.perf_counter()
    encoder, texts = Encoder.open(folder), bench.data.texts
    passages = encoder.encode_passages(texts, watch("encode by the earlier version", len(texts)))
    view = VersionView(recipe.earlier, encoder.encode_queries(bench.data.train.questions), passages, encoder.encoder_id)
    return [view], cost + Cost(mine_s=time.perf_counter() - started, n_mined=len(passages))


def _train(
    recipe: Recipe,
    bench: TrainingBench,
    examples: Sequence[TrainingExample],
    seed: int,
    work: Path,
    progress: Callable[[int], None],
) -> Path:
    """As many steps as the budget has; returns the folder of the model."""
    n_negatives = 1 if recipe.source else 0
    plan = replace(
        recipe.plan,
        epochs=1,
        batch_size=bench.budget.rows(n_negatives),
        seed=seed,
        bf16=bench.bf16,
        n_negatives=n_negatives,
        frozen_layers=bench.budget.frozen_layers,
    )
    rows = list(schedule_examples(examples, bench.budget.steps * plan.batch_size, seed))
    lexical = lexical_bonus(bench) if recipe.uses_night_loss else None
    seen = vectors_by_base(bench) if recipe.uses_night_loss or needs_base_vectors(plan) else None
    folder = train_towers(bench.encoder.folder, rows, work, plan, progress, lexical=lexical, base_vectors=seen)
    shutil.rmtree(work / "checkpoints")
    return folder


def schedule_examples(examples: Sequence[TrainingExample], n_rows: int, seed: int) -> Iterator[TrainingExample]:
    """*n_rows* examples: all of them, again and again, and a random part of them at the end."""
    order = np.random.default_rng(seed)

    def rounds() -> Iterator[TrainingExample]:
        while True:
            yield from (examples[index] for index in order.permutation(len(examples)))

    return islice(rounds(), n_rows)


TOWER_RUNGS: Mapping[str, Rung] = {
    "base": Rung("base", run_base, is_seeded=False),
    "triplet": Rung("triplet + random", partial(run_towers, "triplet")),
    "in_batch": Rung("in-batch", partial(run_towers, "in_batch")),
    "bm25": Rung("+ one BM25 negative (DPR)", partial(run_towers, "bm25")),
    "dense": Rung("+ one dense negative, not cleaned", partial(run_towers, "dense")),
    "dense_cleaned": Rung("+ one dense negative, cleaned", partial(run_towers, "dense_cleaned")),
    "earlier": Rung("+ one by an earlier version (ANCE)", partial(run_towers, "earlier")),
    "neighbour": Rung("+ one neighbour of the positive", partial(run_towers, "neighbour")),
    "verdicts": Rung("+ one that people rejected", partial(run_towers, "verdicts")),
    "distilled": Rung("+ dense, cleaned, distilled", partial(run_towers, "distilled")),
    "anchored": Rung("+ dense, cleaned, anchored", partial(run_towers, "anchored")),
    "merged": Rung("+ dense, cleaned, merged", partial(run_merged, "dense_cleaned")),
    "mixed": Rung("+ mixed, cleaned, BM25 in the loss, merged", partial(run_merged, "mixed")),
    "tier3": Rung("tier 3: as a night trains", partial(run_merged, "night")),
}
