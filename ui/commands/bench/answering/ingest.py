"""`nightjar bench ingest`: how long ingesting takes next to the encoding alone, which nobody can do without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from eval.bench.ingest import IngestBench
    from rag.settings import Settings


def ingest(
    context: typer.Context,
    *,
    beir: Annotated[Path | None, typer.Option(help="A BEIR folder.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of its passages, from the first.")] = 500,
    rounds: Annotated[int, typer.Option(min=1, help="How often each side is timed, in turn; of --beir.")] = 3,
    files: Annotated[Path | None, typer.Option(help="A folder of documents.", show_default=False)] = None,
    made: Annotated[int, typer.Option(min=0, help="Markdown files that are made up for it.")] = 0,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Time ingesting, all of it, next to the encoding alone of the same texts.

    Both use the settings' encoder, its length cap and as many threads. A BEIR folder is brought in by this process;
    --files and --made run the command `nightjar ingest` in a new library, twice, and tell its memory too. Your library
    is not touched.

    [bold]Examples[/bold]

    nightjar bench ingest --beir datasets/scifact --limit 2000

    nightjar bench ingest --files my-documents --made 1000
    """
    from tempfile import TemporaryDirectory

    from eval.bench.workloads.synthetic_files import write_markdown
    from rag.errors import UsageError

    if beir is None and files is None and not made:
        raise UsageError("nothing to time: name --beir DIR, --files DIR or --made N")
    settings = load_command_settings(context)
    told: dict[str, Any] = {}
    with TemporaryDirectory(prefix="nightjar-bench-") as folder:
        work = Path(folder)
        if beir is not None:
            told["beir"] = _of_beir(settings, beir, work, limit, rounds)
        if files is not None:
            told["files"] = time_ingest_command(settings, files, work / "of-files")
        if made:
            told["made"] = time_ingest_command(settings, write_markdown(work / "made", made), work / "of-made")
    if as_json:
        print_json({name: _as_json(figure) for name, figure in told.items()})
    else:
        for name, figure in told.items():
            _print_beir(figure) if name == "beir" else _print_folder(name, figure)


def _of_beir(settings: Settings, beir: Path, work: Path, limit: int, rounds: int) -> IngestBench:
    from eval.bench.ingest import measure_ingest
    from rag.versions.base_model import save_base

    encoder = settings.encoder
    save_base(encoder.model, encoder.max_tokens, work / "base")
    with progress_bar("measure", rounds, "rounds") as advance:
        return measure_ingest(
            beir,
            work / "base",
            work / "libraries",
            limit=limit,
            n_rounds=rounds,
            precision=encoder.precision,
            threads=encoder.threads,
            progress=advance,
        )


def time_ingest_command(settings: Settings, folder: Path, data: Path) -> dict[str, Any]:
    """Runs `nightjar ingest` on a folder twice, then encodes the same texts alone.

    "outside" is the share of the time that encoding alone would not have taken, without what every start of the encoder
    takes once; "outside_with_start" has that in it.
    """
    _install_base(settings, data)
    report, whole_s = _command(settings, data, folder)
    again, again_s = _command(settings, data, folder)
    alone_s = _alone(settings, data)
    working_s = report["seconds"] - report["opening_seconds"]
    return {
        "n_files": sum(len(report[kind]) for kind in ("added", "duplicates", "failed")),
        "n_failed": len(report["failed"]),
        "n_passages": report["n_encoded"],
        "command_seconds": round(whole_s, 2),
        "seconds": report["seconds"],
        "opening_seconds": report["opening_seconds"],
        "encoding_seconds": report["encoding_seconds"],
        "alone_seconds": round(alone_s, 2),
        "passages_per_s": round(report["n_encoded"] / working_s, 1),
        "outside_encoder": round(1 - report["encoding_seconds"] / working_s, 3),
        "outside_alone": round(1 - alone_s / working_s, 3),
        "outside_with_start": round(1 - alone_s / report["seconds"], 3),
        "memory_mib": report["memory_mib"],
        "reader_memory_mib": report["reader_memory_mib"],
        "again_command_seconds": round(again_s, 2),
        "again_n_unchanged": len(again["unchanged"]),
    }


def _install_base(settings: Settings, data: Path) -> None:
    """A new library saves its base once, which is no part of ingesting."""
    from rag.app.app import open_app

    app = open_app(settings.model_copy(update={"data": data}))
    app.current()
    app.close()


def _command(settings: Settings, data: Path, folder: Path) -> tuple[dict[str, Any], float]:
    """The report of `nightjar ingest` and how long the command took, its start included."""
    encoder = settings.encoder
    given = encoder.model_dump(include={"model", "max_tokens", "precision", "threads"}, mode="json")
    environment = {f"NIGHTJAR__ENCODER__{name.upper()}": str(value) for name, value in given.items()}
    started = time.perf_counter()
    command = [sys.executable, "-m", "ui", "--data", str(data), "ingest", str(folder), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=os.environ | environment, check=False)
    return json.loads(done.stdout), time.perf_counter() - started


def _alone(settings: Settings, data: Path) -> float:
    """Seconds of encoding every text of a library at one go, in an encoder that is warm."""
    from rag.app.app import open_app

    app = open_app(settings.model_copy(update={"data": data}))
    try:
        texts = list(dict.fromkeys(passage.encoded_text for passage in app.library.iterate_passages()))
        encoder = app.open_encoder()
        encoder.prefers_bf16(texts)
        encoder.encode_passages(texts[:32])
        started = time.perf_counter()
        encoder.encode_passages(texts)
        return time.perf_counter() - started
    finally:
        app.close()


def _as_json(one: IngestBench | dict[str, Any]) -> dict[str, Any]:
    if isinstance(one, dict):
        return one
    return asdict(one) | {name: getattr(one, name) for name in ("ingest_per_s", "encode_per_s", "ratio")}


def _print_folder(name: str, one: dict[str, Any]) -> None:
    typer.echo(
        f"{name}: {one['n_files']:,} files ({one['n_failed']} refused), {one['n_passages']:,} passages in "
        f"{one['seconds']:.1f} s, of which {one['opening_seconds']:.1f} s for opening the encoder; "
        f"{one['passages_per_s']:,.1f} passages/s then, {100 * one['outside_encoder']:.0f} % of the time outside the "
        f"encoder; encoding alone takes {one['alone_seconds']:.1f} s."
    )
    typer.echo(
        f"At most {one['memory_mib']:,} MiB, and {one['reader_memory_mib']:,} MiB in the largest reader. Again, with "
        f"nothing changed: {one['again_command_seconds']:.1f} s."
    )


def _print_beir(measured: IngestBench) -> None:
    rows = [
        ["Nightjar's whole ingest", f"{measured.ingest_per_s:.1f}", measured.precision],
        ["SentenceTransformer.encode alone", f"{measured.encode_per_s:.1f}", "fp32"],
    ]
    title = f"{measured.n_passages:,} passages, at most {measured.max_tokens} tokens, {measured.n_threads} threads"
    print_table(["", "passages a second", "precision"], rows, title)
    ratios = ", ".join(f"{round_.encode_s / round_.ingest_s:.2f}" for round_ in measured.rounds)
    typer.echo(f"Ingest runs at {100 * measured.ratio:.0f} % of the speed of encoding alone (rounds: {ratios}).")
