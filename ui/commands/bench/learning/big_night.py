"""`nightjar bench big-night`: a night on 10,000 judgments over 100,000 passages, from its start to its decision."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, stage_progress_bars

if TYPE_CHECKING:
    from rag.settings import Settings
    from retriever_training.bench.big_night import BigNight

WORKLOAD_NOTE = (
    "The passages are made up, and so are their vectors, which lie in SQL before the night: encoding them is ingest's "
    "work, as compiling BM25 is. The night encodes the questions. Tiers 1 and 2 leave Chroma's index as it is, so "
    "there is none."
)


def big_night(
    context: typer.Context,
    *,
    judgments: Annotated[int, typer.Option(min=100, help="How many questions somebody pinned a passage for.")] = 10_000,
    passages: Annotated[int, typer.Option(min=100, max=100_000, help="Made-up passages.")] = 100_000,
    tier: Annotated[int, typer.Option(min=1, max=2, help="1 (query map) or 2 (query tower).")] = 1,
    keep: Annotated[
        Path | None, typer.Option(help="Make the library there, or use the one that is there.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Time one night on a large made-up library, stage by stage, with its peak of memory.

    Questions call products by what they are, passages by code names, so that there is something to learn and the night
    can promote; if the gate says no, the time is up to its answer. The night runs in a process of its own. Bars on
    two cores: tier 1 with 10,000 judgments 3 minutes, tier 2 with 5,000 10 minutes. Your library is not touched.

    [bold]Examples[/bold]

    nightjar bench big-night

    nightjar bench big-night --tier 2 --judgments 5000 --json
    """
    from retriever_training.bench.big_night import LIMIT_S
    from retriever_training.bench.harness.subprocess_run import run_in_subprocess

    with TemporaryDirectory(prefix="nightjar-bench-") as folder:
        context.obj["data"] = (keep or Path(folder)) / "data"
        settings = load_command_settings(context, night={"tier": str(tier)})
        _fill(settings, passages, judgments)
        measured = run_in_subprocess(run_timed_night, context.obj["data"], context.obj["config"], tier)
    if as_json:
        told = asdict(measured) | {"is_in_time": measured.is_in_time, "limit_s": LIMIT_S[tier]}
        print_json({"n_passages": passages, "n_questions": judgments, **told, "given": WORKLOAD_NOTE})
    else:
        _print(measured, passages, judgments)


def _fill(settings: Settings, n_passages: int, n_judgments: int) -> None:
    from rag.app.app import open_app
    from rag.errors import UsageError
    from retriever_training.bench.big_night import fill_library

    app = open_app(settings)
    try:
        there = app.library.n_passages()
        if there not in (0, n_passages):
            raise UsageError(
                f"{str(settings.data)!r} holds {there:,} passages, not {n_passages:,}: give another folder "
                "to --keep, or remove it"
            )
        if not there:
            with stage_progress_bars() as watch:
                fill_library(app, n_passages, n_judgments, settings.night.seed, watch)
    finally:
        app.close()


def run_timed_night(data: Path, config: Path | None, tier: int) -> BigNight:
    """One night on the state directory *data*; what the process of its own does."""
    from rag.app.app import open_app
    from rag.settings import load_settings
    from retriever_training.bench.big_night import time_night
    from ui.background.night_plan import build_night_plan

    settings = load_settings(data, config, night={"tier": str(tier)})
    app = open_app(settings)
    try:
        with stage_progress_bars() as watch:
            return time_night(app, build_night_plan(settings), watch)
    finally:
        app.close()


def _print(measured: BigNight, n_passages: int, n_judgments: int) -> None:
    rows = [[stage.name, f"{stage.seconds:.1f}", f"{stage.cpu_s:.1f}"] for stage in measured.stages]
    rows.append(["all of it", f"{measured.seconds:.1f}", f"{measured.cpu_s:.1f}"])
    title = f"tier {measured.tier}, {n_judgments:,} questions, {n_passages:,} passages, {measured.n_threads} threads"
    print_table(["stage", "seconds", "of CPU"], rows, title)
    until = "promotion" if measured.decision == "promoted" else f'"{measured.decision}"'
    typer.echo(
        f"{measured.seconds:.0f} s from start to {until}, {measured.peak_gib:.2f} GiB at most: "
        f"{'in' if measured.is_in_time else 'not in'} time."
    )
    typer.echo(f"- {measured.reason}")
    typer.echo(WORKLOAD_NOTE)
