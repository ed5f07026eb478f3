"""The ladder in one run: every rung under every seed, each kept as soon as it is there, and what they are worth."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.report.output.svg_plots import Dot
from eval.statistics.significance import compare_paired
from rag.arrays import DoubleArray
from rag.errors import UsageError
from retriever_training.bench.harness.workbench import Cost, LadderValues, TrainingBench
from retriever_training.bench.ladder import baselines as beside
from retriever_training.bench.ladder import query_rungs
from retriever_training.bench.ladder import rungs as ladder
from retriever_training.bench.ladder.rungs import Rung
from retriever_training.progress import ProgressReporter

ALL_RUNGS: Mapping[str, Rung] = {**ladder.TOWER_RUNGS, **query_rungs.QUERY_RUNGS, **beside.BASELINE_RUNGS}
REFERENCE_RUNGS = ("base", "in_batch")
"""What every rung is compared with, question by question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """One rung under one seed."""

    rung: str
    seed: int
    values: LadderValues
    cost: Cost
    peak_mib: float | None
    """The process's largest resident memory while it ran, libraries and the set included; None if the system does not
    tell."""
    note: Mapping[str, Any]


def chosen_rungs(names: Sequence[str]) -> list[str]:
    """The rungs of these names, in the ladder's order; all of them without names.

    Raises:
        UsageError: there is no rung of a name.

    >>> chosen_rungs(["in_batch", "base"])
    ['base', 'in_batch']
    """
    if unknown := sorted(set(names) - set(ALL_RUNGS)):
        raise UsageError(f"rung {unknown[0]!r} is unknown: use one of {', '.join(ALL_RUNGS)}")
    return [name for name in ALL_RUNGS if not names or name in names]


def run_rungs(
    bench: TrainingBench,
    rungs: Sequence[str],
    seeds: Sequence[int],
    watch: ProgressReporter,
    on_result: Callable[[SeedResult], None],
) -> list[SeedResult]:
    """Climbs every rung under every seed, one seed after the other; *on_result* gets each result as it comes.

    What `bench.folder` holds from an earlier run is read, not made again; *on_result* gets it too.
    """
    results = []
    for seed in seeds:
        for name in rungs:
            if not ALL_RUNGS[name].is_seeded and seed != seeds[0]:
                continue
            file = bench.folder / f"{name}-{seed if ALL_RUNGS[name].is_seeded else 'any'}.json"
            if not file.exists():
                _write(file, asdict(_climbed(bench, name, seed, watch)))
            result = _read(file)
            on_result(result)
            results.append(result)
    return results


def _climbed(bench: TrainingBench, name: str, seed: int, watch: ProgressReporter) -> SeedResult:
    _reset_peak()
    climbed = ALL_RUNGS[name].run(bench, seed, watch)
    return SeedResult(
        rung=name, seed=seed, values=climbed.values, cost=climbed.cost, peak_mib=_peak_mib(), note=climbed.note
    )


# ---- what they are worth


def summarise(bench: TrainingBench, results: Sequence[SeedResult]) -> dict[str, Any]:
    """What `nightjar bench training --json` prints."""
    masks = question_slices(bench)
    per_rung = {name: [result for result in results if result.rung == name] for name in ALL_RUNGS}
    averaged = {name: average_over_seeds(figures) for name, figures in per_rung.items() if figures}
    budget, data = bench.budget, bench.data
    return {
        "dataset": data.name,
        "split": data.split,
        "n_questions": {name: int(mask.sum()) for name, mask in masks.items()},
        "n_passages": len(data.texts),
        "n_train_questions": len(data.train),
        "n_rows": data.n_rows,
        "n_left_out": data.n_left_out,
        "seeds": sorted({result.seed for result in results if ALL_RUNGS[result.rung].is_seeded}),
        "budget": {
            "steps": budget.steps,
            "passages_a_step": budget.passages,
            "rows_in_batch": budget.rows(0),
            "rows_with_a_negative": budget.rows(1),
            "frozen_layers": budget.frozen_layers,
        },
        "rungs": [_told(name, per_rung[name], averaged, masks) for name in averaged],
    }


def question_slices(bench: TrainingBench) -> dict[str, NDArray[np.bool_]]:
    """The reported questions: all, seen and unseen, as masks."""
    unseen = bench.unseen()
    return {"all": np.ones_like(unseen), "seen": ~unseen, "unseen": unseen}


def average_over_seeds(results: Sequence[SeedResult]) -> dict[str, DoubleArray]:
    """side → `(t,)`, each question's nDCG@10, mean over the seeds."""
    return {
        side: np.mean([list(result.values[side].values()) for result in results], axis=0) for side in results[0].values
    }


def _told(
    name: str,
    results: Sequence[SeedResult],
    averaged: Mapping[str, Mapping[str, DoubleArray]],
    masks: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Any]:
    own = averaged[name]
    return {
        "name": name,
        "label": ALL_RUNGS[name].label,
        "beside": ALL_RUNGS[name].is_baseline,
        **{side: {part: _mean(values[mask]) for part, mask in masks.items()} for side, values in own.items()},
        **{
            f"against_{rung}": {
                side: {
                    part: paired_difference(averaged[rung][side][mask], own[side][mask]) for part, mask in masks.items()
                }
                for side in own
            }
            for rung in REFERENCE_RUNGS
            if rung in averaged and rung != name
        },
        "served_by_seed": [_mean(np.array(list(result.values["served"].values()))) for result in results],
        "seconds": round(float(np.mean([result.cost.seconds for result in results])), 1),
        "cost": {
            key: round(float(np.mean([asdict(result.cost)[key] for result in results])), 1) for key in asdict(Cost())
        },
        "peak_mib": max((result.peak_mib for result in results if result.peak_mib is not None), default=None),
        "notes": [dict(result.note) for result in results],
    }


def paired_difference(other: DoubleArray, own: DoubleArray) -> dict[str, float] | None:
    """The paired difference with its 95 % interval and p; None with fewer than two questions.

    >>> paired_difference(np.zeros(3), np.ones(3))
    {'difference': 1.0, 'low': 1.0, 'high': 1.0, 'p': 0.25}
    """
    if len(own) < 2:
        return None
    found = compare_paired(other, own)
    return {
        "difference": round(found.difference, 5),
        "low": round(found.low, 5),
        "high": round(found.high, 5),
        "p": round(found.p, 5),
    }


def _mean(values: DoubleArray) -> float | None:
    return round(float(values.mean()), 5) if len(values) else None


def ladder_dots(told: Mapping[str, Any]) -> list[Dot]:
    """One dot a rung for `svg_plots.ladder`, from what `summary` gives: served nDCG@10, the interval of its gain."""
    made = []
    for rung in told["rungs"]:
        gain = rung.get("against_base", {}).get("served", {}).get("all")
        at = rung["served"]["all"]
        low, high = (at - gain["difference"] + gain[end] for end in ("low", "high")) if gain else (at, at)
        others = {part: rung["served"][part] for part in ("seen", "unseen") if rung["served"][part] is not None}
        made.append(Dot(label=rung["label"], at=at, low=low, high=high, marks=others, is_baseline=rung["beside"]))
    return made


# ---- on disk


def _write(file: Path, value: Mapping[str, Any]) -> None:
    """All of it or nothing."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    part.replace(file)


def _read(file: Path) -> SeedResult:
    told = json.loads(file.read_text("utf-8"))
    return SeedResult(**{**told, "cost": Cost(**told["cost"])})


# ---- memory


def _reset_peak() -> None:
    """Starts the process's peak again, without what earlier rungs left lying about; Linux alone can."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_mib() -> float | None:
    """The largest resident memory since `_reset_peak`, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return round(sizes[0] / 1024, 1) if sizes else None
