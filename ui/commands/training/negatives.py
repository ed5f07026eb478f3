"""The night's negatives: for one question to look at, or all training rows as a file; and other people's rows as labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ui.background.night_plan import build_night_plan
from ui.commands.console import (
    JSON_OPTION,
    load_command_settings,
    print_json,
    print_table,
    progress_bar,
    stage_progress_bars,
)

if TYPE_CHECKING:
    from eval.datasets.dpr import LeftOut
    from retriever_training.inspection.negatives_of_question import MinedRows, MiningRequest
    from retriever_training.negatives.denoising.audit import AuditedCandidate

LEFT_OUT_OF_DPR: dict[LeftOut, str] = {
    "no_right_passage": "questions without a right passage, which are not measured",
    "no_words": "passages without a word",
    "renamed": "passages renamed, because another text has their id",
}
"""What `convert-dpr` says of questions and passages that were not taken unchanged."""

SOURCES_HELP = "Sources of negatives, separated by commas, in the order in which they are used."


def negatives(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="A question, preferably one that was judged.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many candidates of each source.")] = 5,
    source: Annotated[
        list[str] | None, typer.Option(help="Only this source; may be repeated.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show, side by side, the negatives that each source finds for a question: kept or not, and why not.

    The margin is the right passage's cosine with the question minus the candidate's; below 0 the version
    ranks the candidate higher.
    """
    from rag.app.app import open_app
    from retriever_training.inspection.negatives_of_question import mine_for_question
    from retriever_training.negatives.finders import FINDERS, check_sources
    from ui.texts.reasons import describe_removal

    check_sources(sources := source or tuple(FINDERS))
    found = mine_for_question(open_app(load_command_settings(context)).stores, question, n, sources)
    if as_json:
        print_json(found)
        return
    for positive in found["positives"]:
        typer.echo(f"right: {positive['passage_id']}  {positive['title']}")
    rows = [
        [
            candidate["source"],
            candidate["version"],
            str(candidate["rank"]),
            f"{candidate['score']:.3f}",
            "–" if candidate["margin"] is None else f"{candidate['margin']:+.3f}",
            candidate["passage_id"],
            describe_removal(candidate["removed"]) if candidate["removed"] else "kept",
            candidate["title"],
        ]
        for candidate in found["candidates"]
    ]
    print_table(["source", "version", "rank", "score", "margin", "passage", "kept?", "title"], rows)


def mine(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Where to write the rows; - for stdout (jsonl only).", show_default=False)],
    row_format: Annotated[
        Literal["jsonl", "datasets", "dpr"],
        typer.Option("--format", help="JSON lines, a folder for sentence-transformers, or DPR's file."),
    ] = "jsonl",
    n_negatives: Annotated[
        int | None,
        typer.Option("--negatives", min=0, help="Negatives for each row; one by default.", show_default=False),
    ] = None,
    sources: Annotated[
        str | None, typer.Option(help=SOURCES_HELP + " By default people, dense, BM25, random.", show_default=False)
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, help="Rows for this many epochs, in which a row's negatives take turns.")
    ] = 1,
    pool: Annotated[
        int | None,
        typer.Option(
            min=1, help="Negatives that take turns in a row; by default enough for all epochs.", show_default=False
        ),
    ] = None,
    easy_first: Annotated[
        bool, typer.Option("--easy-first", help="Earlier epochs draw from easier negatives.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="By default the night's.", show_default=False)] = None,
    audit: Annotated[
        int, typer.Option(min=0, help="Print this many candidates of each source and outcome to stderr.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote there.")] = False,
) -> None:
    """Write the night's questions and right passages, with negatives of all sources and where each came from.

    The rows are for reading, or for other trainers. A night of tier 3 takes its negatives from the setting night.sources.

    [bold]Examples[/bold]

    nightjar mine --out rows.jsonl

    nightjar mine --out rows --format datasets --negatives 4 --sources feedback,dense,bm25

    nightjar mine --out - --epochs 3 --easy-first

    nightjar mine --out rows.jsonl --audit 3
    """
    from rag.app.app import open_app
    from rag.errors import UsageError
    from retriever_training.inspection.negatives_of_question import mine_night_rows
    from retriever_training.negatives.training_files import check_writable, write_rows

    to_stdout = str(out) == "-"
    if to_stdout and row_format != "jsonl":
        raise UsageError(f"--format {row_format} can't go to stdout: name a path with --out, or use jsonl")
    if not to_stdout:
        check_writable(out, row_format, force=force)
    wanted = _wanted(n_negatives, sources, epochs, pool, easy_first=easy_first, n_audited=audit)
    settings = load_command_settings(context, **({} if seed is None else {"night": {"seed": seed}}))
    with stage_progress_bars() as watch:
        mined = mine_night_rows(open_app(settings).stores, build_night_plan(settings), wanted, watch)
    _print_left_out(mined)
    if to_stdout:
        for line in mined.lines:
            typer.echo(json.dumps(line, ensure_ascii=False))
        return
    n_written = write_rows(out, row_format, mined.lines, mined.passages, wanted.n_negatives, force=force)
    few = len(mined.lines) - n_written
    left_out = f"; {few:,} with fewer than {wanted.n_negatives} negatives were left out" if few else ""
    typer.echo(f"{n_written:,} rows written to {out}{left_out}", err=True)


def _wanted(
    n_negatives: int | None, sources: str | None, epochs: int, pool: int | None, *, easy_first: bool, n_audited: int
) -> MiningRequest:
    """Returns the request that the options make, with a pool that is large enough for all epochs.

    Raises:
        UsageError: an option has no effect without another, or a source is unknown.
    """
    from rag.errors import UsageError
    from retriever_training.inspection.negatives_of_question import MiningRequest
    from retriever_training.negatives.finders import check_sources

    if epochs == 1 and (easy_first or pool):
        raise UsageError("--pool and --easy-first have no effect with one epoch: add --epochs 3, say")
    n = MiningRequest().n_negatives if n_negatives is None else n_negatives
    wanted = MiningRequest(
        n_negatives=n, pool=pool or n * epochs, epochs=epochs, easy_first=easy_first, n_audited=n_audited
    )
    if sources is None:
        return wanted
    named = tuple(word.strip() for word in sources.split(","))
    check_sources(named)
    return replace(wanted, sources=named)


def _print_left_out(mined: MinedRows) -> None:
    """Prints to stderr how many candidates each reason removed, and the sample for reading."""
    from ui.texts.reasons import describe_removal

    for reason, count in sorted(mined.removed.items(), key=lambda pair: -pair[1]):
        typer.echo(f"{count:>7,} candidates left out: {describe_removal(reason)}", err=True)
    for audit_line in mined.audited:
        typer.echo(_format_audited(audit_line), err=True)


def _format_audited(audited: AuditedCandidate) -> str:
    """Returns a candidate with its question and the right passage, each on its own line."""
    from ui.texts.reasons import describe_removal

    outcome = describe_removal(audited.removed) if audited.removed else "kept"
    texts = (("question", audited.question), ("right", audited.positive), (outcome, audited.candidate))
    lines = [f"  {label}: {shorten(text, 240, placeholder=' …')}" for label, text in texts]
    return "\n".join(
        [f"{audited.source}, rank {audited.rank}, score {audited.score:.3f}, {audited.passage_id}", *lines]
    )


def convert_dpr(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="The folder to make.", show_default=False)],
    train: Annotated[Path | None, typer.Option(help="DPR's file of training questions.", show_default=False)] = None,
    dev: Annotated[
        Path | None, typer.Option(help="DPR's file of questions for choosing a version.", show_default=False)
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="DPR's file of questions for measuring.", show_default=False)
    ] = None,
) -> None:
    """Make a BEIR folder from DPR's retriever files (biencoder-nq-train.json, or .json.gz), for ingest and eval.

    Right passages get grade 1, hard negatives grade 0; the corpus holds every passage that the files name.

    [bold]Examples[/bold]

    nightjar convert-dpr --train biencoder-nq-train.json --test biencoder-nq-dev.json --out datasets/nq

    nightjar ingest --beir datasets/nq
    """
    from eval.datasets.dpr import convert_to_beir
    from rag.errors import UsageError

    files = {split: file for split, file in (("train", train), ("dev", dev), ("test", test)) if file is not None}
    if not files:
        raise UsageError("no file to convert: name one with --train, --dev or --test")
    with progress_bar("converting", None, "questions") as advance:
        converted = convert_to_beir(files, out, advance)
    for reason, count in converted.left_out.items():
        typer.echo(f"{count:,} {LEFT_OUT_OF_DPR[reason]}", err=True)
    questions = ", ".join(f"{count:,} {split} questions" for split, count in converted.n_questions.items())
    typer.echo(f"{converted.n_passages:,} passages and {questions} written to {out}", err=True)
