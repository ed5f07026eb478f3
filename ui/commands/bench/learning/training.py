"""`nightjar bench training`: the ladder of the literature on a labelled set, and what a user would do instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.bench.harness.work_folder import save_and_open_base, work_folder
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, stage_progress_bars

if TYPE_CHECKING:
    from retriever_training.bench.harness.workbench import TrainingBench
    from retriever_training.bench.training import SeedResult


def training(
    context: typer.Context,
    *,
    beir: Annotated[Path, typer.Option(help="A BEIR folder with train, dev and test labels.", show_default=False)],
    rung: Annotated[list[str] | None, typer.Option(help="Only this rung; may be repeated.", show_default=False)] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many random seeds to repeat it with.")] = 1,
    steps: Annotated[int, typer.Option(min=0, help="Steps of every training; 0: three times through the rows.")] = 0,
    batch: Annotated[int, typer.Option(min=2, help="Rows per step, if a row holds a negative.")] = 32,
    frozen_layers: Annotated[int, typer.Option(min=0, help="How many lower layers to freeze.")] = 0,
    split: Annotated[str, typer.Option(help="Whose questions are reported; dev for trying things out.")] = "test",
    plot: Annotated[Path | None, typer.Option(help="Draw it there, as SVG.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keep results there; what it holds is not made again.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Train by every way of finding negatives, with the same data and budget, next to what you would do instead.

    Every training takes the same steps over the same number of passages a step: with in-batch negatives alone, 64 rows;
    with one negative a row, 32. The dev questions choose merges and BM25's weight. With --out a run that was killed goes
    on with the rungs that are missing. Your library is not touched.

    [bold]Examples[/bold]

    nightjar bench training --beir datasets/scifact --out ladder --plot ladder.svg

    nightjar bench training --beir datasets/scifact --rung base --rung in_batch --rung st --seeds 3
    """
    from eval.report.output.svg_plots import dot_plot
    from retriever_training.bench.training import chosen_rungs, ladder_dots, run_rungs, summarise

    chosen = chosen_rungs(rung or [])
    with work_folder(out) as folder, stage_progress_bars() as watch:
        bench = _bench(context, folder, beir=beir, split=split, budget=(steps, batch, frozen_layers), watch=watch)
        results = run_rungs(bench, chosen, range(13, 13 + seeds), watch, _tell)
        told = summarise(bench, results)
    if plot:
        plot.write_text(dot_plot(ladder_dots(told), _title(told)), "utf-8")
    if as_json:
        print_json(told)
    else:
        _print(told)


def _bench(
    context: typer.Context, folder: Path, beir: Path, split: str, budget: tuple[int, int, int], watch: Any
) -> TrainingBench:
    from eval.datasets.beir import load_beir
    from retriever_training.bench.harness.labelled_set import LabelledSet
    from retriever_training.bench.harness.workbench import Budget, TrainingBench, default_steps

    settings = load_command_settings(context)
    data = LabelledSet.of(load_beir(beir), split)
    steps, batch, frozen_layers = budget
    encoder = save_and_open_base(folder, settings.encoder)
    spent = Budget(steps or default_steps(data.n_rows, batch), batch, frozen_layers)
    return TrainingBench.open(
        data, encoder, budget=spent, default_weight=settings.retrieval.lexical_weight, folder=folder, watch=watch
    )


def _tell(result: SeedResult) -> None:
    from statistics import mean

    served = mean(result.values["served"].values())
    typer.echo(f"{result.rung}, seed {result.seed}: {served:.4f} served, {result.cost.seconds:.0f} s", err=True)


def _title(told: Mapping[str, Any]) -> str:
    return f"{told['dataset']}, {told['n_questions']['all']:,} {told['split']} questions"


def _print(told: Mapping[str, Any]) -> None:
    budget = told["budget"]
    rows = []
    for rung in told["rungs"]:
        served, dense = rung["served"], rung.get("dense")
        rows.append(
            [
                rung["label"],
                _figure(dense and dense["all"]),
                *(_figure(served[part]) for part in ("all", "seen", "unseen")),
                _gain(rung, "base"),
                _gain(rung, "in_batch"),
                f"{rung['seconds']:.0f}",
                f"{rung['cost']['n_trained'] + rung['cost']['n_mined']:,.0f}",
                "" if rung["peak_mib"] is None else f"{rung['peak_mib']:,.0f}",
            ]
        )
    columns = ["", "dense", "served", "seen", "unseen", "over base", "over in-batch", "s", "passages", "MiB"]
    print_table(columns, rows, f"nDCG@10 on {_title(told)}; seeds: {max(1, len(told['seeds']))}")
    typer.echo(
        f"Budget of every training of both towers: {budget['steps']:,} steps of {budget['passages_a_step']} passages: "
        f"{budget['rows_in_batch']} rows where negatives come from the batch alone, "
        f"{budget['rows_with_a_negative']} where each row holds one."
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _gain(one: Mapping[str, Any], other: str) -> str:
    """The paired difference in points, with its interval."""
    found = one.get(f"against_{other}", {}).get("served", {}).get("all")
    return (
        "" if not found else f"{100 * found['difference']:+.1f} [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"
    )
