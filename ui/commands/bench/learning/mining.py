"""`nightjar bench mining`: negatives from all sources, next to sentence-transformers' `mine_hard_negatives`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table

if TYPE_CHECKING:
    from retriever_training.bench.mining import MiningBench


def mining(
    context: typer.Context,
    *,
    questions: Annotated[int, typer.Option(min=1, help="How many questions.")] = 2_000,
    passages: Annotated[
        int, typer.Option(min=100, help="How many passages to make up, if no folder is given.")
    ] = 20_000,
    beir: Annotated[Path | None, typer.Option("--beir", help="A BEIR folder with labels.", show_default=False)] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Mine four negatives a question from all sources, next to mine_hard_negatives from its one, on the same vectors.

    Time with and without encoding, and the most memory each process held. Without --beir the texts are drawn by Zipf's
    law, the vectors lie around a thousand topics, and the time to encode is estimated from 512 texts.

    [bold]Examples[/bold]

    nightjar bench mining --questions 10000 --passages 100000

    nightjar bench mining --beir datasets/scifact --json
    """
    from rag.versions.base_model import save_base
    from retriever_training.bench.mining import beir_workload, measure_mining, synthetic_workload

    encoder = load_command_settings(context).encoder
    with TemporaryDirectory(prefix="nightjar-bench-") as folder:
        model, work = Path(folder) / "model", Path(folder) / "work"
        work.mkdir()
        save_base(encoder.model, encoder.max_tokens, model)
        workload = beir_workload(beir, questions, model) if beir else synthetic_workload(questions, passages, model)
        measured = measure_mining(workload, work, model)
    if as_json:
        ratios = {name: getattr(measured, name) for name in ("times_faster", "times_faster_with_encoding")}
        print_json(asdict(measured) | ratios)
    else:
        _print(measured)


def _print(measured: MiningBench) -> None:
    ours, theirs, encoding = measured.nightjar, measured.theirs, measured.encoding
    sides = {
        "Nightjar, all sources": (ours, 0.0, 0.0),
        "mine_hard_negatives": (theirs, encoding.seconds, encoding.cpu_s),
    }
    rows = [
        [
            name,
            f"{side.seconds:.1f}",
            f"{side.cpu_s:.1f}",
            f"{encode_s:.1f}",
            f"{encode_cpu_s:.1f}",
            f"{side.peak_gib:.2f}",
            f"{side.loaded_gib:.2f}",
            f"{side.n_negatives:,}",
            f"{side.n_looked_at:,}",
        ]
        for name, (side, encode_s, encode_cpu_s) in sides.items()
    ]
    title = (
        f"{measured.n_questions:,} questions over {measured.n_passages:,} passages, four negatives each, "
        f"{measured.n_threads} threads"
    )
    columns = [
        "",
        "mining, s",
        "of CPU",
        "encoding, s",
        "of CPU",
        "peak, GiB",
        "loaded, GiB",
        "negatives",
        "of candidates",
    ]
    print_table(columns, rows, title)
    cpu_ratio = (theirs.cpu_s + encoding.cpu_s) / ours.cpu_s
    typer.echo(
        f"Faster {measured.times_faster:.2g} times without encoding (by CPU {theirs.cpu_s / ours.cpu_s:.2g}), "
        f"{measured.times_faster_with_encoding:.3g} times with it (by CPU {cpu_ratio:.3g}; "
        f"{encoding.n_texts:,} texts encoded)."
    )
