"""`nightjar cross-encoder`: trains one from people's verdicts and measures it; a setting switches it on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ui.background.night_plan import build_night_plan
from ui.commands.command_group import command_group
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, stage_progress_bars

cross_encoder_group = command_group(
    "cross-encoder", "Train a slow, exact reader of question and passage together; it is off by default."
)


@cross_encoder_group.callback()
def _cross_encoder() -> None:
    """Keeps `train` a word of its own while it is the only command."""


@cross_encoder_group.command()
def train(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="The folder to make.", show_default=False)],
    n_negatives: Annotated[
        int, typer.Option("--negatives", min=1, help="Negatives for each row, mined as for a night.")
    ] = 4,
    epochs: Annotated[int, typer.Option(min=1, max=20, help="How many times each row is read.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote there.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Train a cross-encoder on today's judgments, and measure it as a reranker.

    It is measured on the dev questions, which it never sees. Nothing is switched on: the settings
    retrieval.reranker (for questions) and night.teacher (for the night) do that.

        nightjar cross-encoder train --out cross-encoder
    """
    from rag.app.app import open_app
    from retriever_training.cross_encoder.learn import check_output_is_free, learn_cross_encoder
    from retriever_training.cross_encoder.train import CrossEncoderPlan

    check_output_is_free(out, force=force)
    settings = load_command_settings(context)
    app = open_app(settings)
    try:
        with stage_progress_bars() as watch:
            made = learn_cross_encoder(
                app.stores,
                build_night_plan(settings),
                out,
                n_negatives=n_negatives,
                training=CrossEncoderPlan(epochs=epochs, seed=settings.night.seed),
                rerank_k=settings.retrieval.rerank_k,
                force=force,
                watch=watch,
            )
    finally:
        app.close()
    if as_json:
        print_json(made | {"out": str(out)})
    else:
        _print(made, out)


def _print(made: dict[str, Any], out: Path) -> None:
    typer.echo(f"{made['n_rows']:,} rows, trained in {made['train_seconds']:.0f} s; written to {out}")
    worth = made["dev"]
    if worth is None:
        typer.echo("There are too few held-out questions to measure it: wait for more verdicts.")
        return
    rows = [
        [label, *(_plain(value) for value in worth[order].values())]
        for label, order in (("as served", "served"), ("reranked", "reranked"))
    ]
    print_table([f"{worth['n_questions']:,} dev questions", *worth["served"]], rows)
    low, high = worth["interval"]
    typer.echo(
        f"nDCG@10 {worth['difference']:+.3f} (95 % interval {low:+.3f} to {high:+.3f}, p = {worth['p']:.3f}), better "
        f"on {worth['wins']}, worse on {worth['losses']}; {worth['ms_per_question']:.0f} ms a question."
    )
    typer.echo(
        f"{_advice(low, high)} To switch it on, in the settings:\n"
        f"  retrieval.reranker = {str(out.resolve())!r}   for questions\n"
        f"  night.teacher = {str(out.resolve())!r}   for cleaning a night's negatives, and for tier 3"
    )


def _advice(low: float, high: float) -> str:
    """Returns what the interval says about switching it on.

    >>> _advice(-0.01, 0.02)
    'As a reranker it makes no difference beyond chance: leave it off.'
    """
    if low > 0:
        return "As a reranker it helps."
    if high < 0:
        return "As a reranker it does harm: leave it off."
    return "As a reranker it makes no difference beyond chance: leave it off."


def _plain(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
