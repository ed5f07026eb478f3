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
from retriever_training.bench.harness.workbench import Bench, Climbed, Cost, Sight
from retriever_training.bench.ladder.rows import RECIPES, Recipe, added_by_words, rows_of, seen_by_base
from retriever_training.negatives.candidates.records import View
from retriever_training.progress import Watch
from retriever_training.tiers.learn_tier3 import ALPHAS
from retriever_training.tiers.model_selection import best_weight
from retriever_training.tiers.tier3_both_towers import Example, merge_towers, needs_vectors, train_towers

Climb = Callable[[Bench, int, Watch], Climbed]
"""Takes the bench, a seed, and who watches."""

BUILT_ON = ("in_batch", "dense_cleaned")  # their models are kept: later rungs start there


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to make a retriever."""

    label: str
    """For tables and plots."""
    climb: Climb
    is_drawn: bool = True
    """Whether another seed makes another one."""
    beside: bool = False
    """Whether it is what a user would do instead."""


def base(bench: Bench, _seed: int, _watch: Watch) -> Climbed:
    """As it comes."""
    values, weight = bench.measured(bench.base)
    return Climbed(values, Cost(), {"lexical_weight": weight})


def towers(name: str, bench: Bench, seed: int, watch: Watch) -> Climbed:
    """Trains by one of RECIPES, encodes the library by what comes out, and measures it."""
    folder, cost, note = trained(name, bench, seed, watch)
    started = time.perf_counter()
    sight = bench.look(Encoder.open(folder), watch)
    cost += Cost(encode_s=time.perf_counter() - started, n_encoded=len(sight.passages))
    values, weight = bench.measured(sight)
    if name not in BUILT_ON:
        shutil.rmtree(folder.parent)
    return Climbed(values, cost, {**note, "lexical_weight": weight})


def merged(name: str, bench: Bench, seed: int, watch: Watch) -> Climbed:
    """A recipe's version, moved back towards the base as far as dev likes it best (WiSE-FT, Wortsman et al. 2022)."""
    folder, cost, note = trained(name, bench, seed, watch)
    started = time.perf_counter()
    alpha, sight = best_merge(bench, folder, watch)
    if name not in BUILT_ON:
        shutil.rmtree(folder.parent)
    values, weight = bench.measured(sight)
    cost += Cost(encode_s=time.perf_counter() - started, n_encoded=len(ALPHAS) * len(sight.passages))
    return Climbed(values, cost, {**note, "alpha": alpha, "lexical_weight": weight})


def best_merge(bench: Bench, towers: Path, watch: Watch) -> tuple[float, Sight]:
    """How much of the trained *towers* dev likes best beside the base, and how that version sees the set."""
    tried = []
    for alpha in ALPHAS:
        made = towers.parent / "merged"
        shutil.rmtree(made, ignore_errors=True)
        merge_towers(bench.encoder.folder, towers, alpha, made)
        sight = bench.look(Encoder.open(made), watch)
        _, on_dev = best_weight(bench.dev_set, sight.dev, sight.passages, bench.default_weight)
        tried.append((on_dev, alpha, sight))
        shutil.rmtree(made)
    _, alpha, sight = max(tried, key=lambda one: one[:2])
    return alpha, sight


def trained(name: str, bench: Bench, seed: int, watch: Watch) -> tuple[Path, Cost, dict[str, Any]]:
    """The model's folder, what it took to make, and a note; at once where an earlier rung has made it.

    One that was killed is made anew, so that its seconds are those of one training.
    """
    work = bench.folder / "models" / f"{name}-{seed}"
    told = work / "made.json"
    if told.exists():
        made = json.loads(told.read_text("utf-8"))
        return work / "towers", Cost(**made["cost"]), made["note"]
    shutil.rmtree(work, ignore_errors=True)
    earlier, cost = _earlier(RECIPES[name], bench, seed, watch)
    started = time.perf_counter()
    rows = rows_of(RECIPES[name], bench, seed, earlier)
    cost += Cost(mine_s=time.perf_counter() - started)
    started = time.perf_counter()
    folder = _train(RECIPES[name], bench, rows.examples, seed, work, watch(f"train: {name}", bench.budget.steps))
    cost += Cost(train_s=time.perf_counter() - started, n_trained=bench.budget.steps * bench.budget.passages)
    note = {"negatives": dict(rows.sources), "removed": dict(rows.removed)} if rows.sources else {}
    told.write_text(json.dumps({"cost": asdict(cost), "note": note}), "utf-8")
    return folder, cost, note


def _earlier(recipe: Recipe, bench: Bench, seed: int, watch: Watch) -> tuple[list[View], Cost]:
    """How the earlier version sees the train questions and the passages, which it encodes; what that and it took."""
    if not recipe.earlier:
        return [], Cost()
    folder, cost, _ = trained(recipe.earlier, bench, seed, watch)
    started = time.perf_counter()
    encoder, texts = Encoder.open(folder), bench.data.texts
    passages = encoder.encode_passages(texts, watch("encode by the earlier version", len(texts)))
    view = View(recipe.earlier, encoder.encode_queries(bench.data.train.questions), passages, encoder.encoder_id)
    return [view], cost + Cost(mine_s=time.perf_counter() - started, n_mined=len(passages))


def _train(
    recipe: Recipe, bench: Bench, examples: Sequence[Example], seed: int, work: Path, progress: Callable[[int], None]
) -> Path:
    """As many steps as the budget has; returns the folder of the model."""
    n_negatives = 1 if recipe.source else 0
    plan = replace(recipe.plan, epochs=1, batch_size=bench.budget.rows(n_negatives), seed=seed, bf16=bench.bf16,
                   n_negatives=n_negatives, frozen_layers=bench.budget.frozen_layers)  # fmt: skip
    rows = list(scheduled(examples, bench.budget.steps * plan.batch_size, seed))
    lexical = added_by_words(bench) if recipe.as_at_night else None
    seen = seen_by_base(bench) if recipe.as_at_night or needs_vectors(plan) else None
    folder = train_towers(bench.encoder.folder, rows, work, plan, progress, lexical=lexical, seen_by_base=seen)
    shutil.rmtree(work / "checkpoints")
    return folder


def scheduled(examples: Sequence[Example], n_rows: int, seed: int) -> Iterator[Example]:
    """*n_rows* examples: all of them, again and again, and a random part of them at the end."""
    order = np.random.default_rng(seed)

    def rounds() -> Iterator[Example]:
        while True:
            yield from (examples[place] for place in order.permutation(len(examples)))

    return islice(rounds(), n_rows)


RUNGS: Mapping[str, Rung] = {
    "base": Rung("base", base, is_drawn=False),
    "triplet": Rung("triplet + random", partial(towers, "triplet")),
    "in_batch": Rung("in-batch", partial(towers, "in_batch")),
    "bm25": Rung("+ one BM25 negative (DPR)", partial(towers, "bm25")),
    "dense": Rung("+ one dense negative, not cleaned", partial(towers, "dense")),
    "dense_cleaned": Rung("+ one dense negative, cleaned", partial(towers, "dense_cleaned")),
    "earlier": Rung("+ one by an earlier version (ANCE)", partial(towers, "earlier")),
    "neighbour": Rung("+ one neighbour of the positive", partial(towers, "neighbour")),
    "verdicts": Rung("+ one that people rejected", partial(towers, "verdicts")),
    "distilled": Rung("+ dense, cleaned, distilled", partial(towers, "distilled")),
    "anchored": Rung("+ dense, cleaned, anchored", partial(towers, "anchored")),
    "merged": Rung("+ dense, cleaned, merged", partial(merged, "dense_cleaned")),
    "mixed": Rung("+ mixed, cleaned, BM25 in the loss, merged", partial(merged, "mixed")),
    "tier3": Rung("tier 3: as a night trains", partial(merged, "night")),
}
