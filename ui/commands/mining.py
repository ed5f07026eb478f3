"""The night's negatives: for one question to look at, or all training rows as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ui.commands.console import JSON_OPTION, print_json, print_table, settings_of, stages
from ui.commands.learning import plan_of


def register(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (negatives, mine):
        app.command()(command)


def negatives(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="A question, best one that was judged.")],
    n: Annotated[int, typer.Option("-n", help="Candidates of each source.")] = 5,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Shows, side by side, the negatives that each way finds for a question: kept or not, and why not."""
    from rag.assemble import open_app
    from retriever_training.show_negatives import negatives_for

    found = negatives_for(open_app(settings_of(context)), question, n)
    if as_json:
        print_json(found)
        return
    for positive in found["positives"]:
        typer.echo(f"right: {positive['passage_id']}  {positive['title']}")
    rows = [
        [
            one["source"],
            str(one["rank"]),
            f"{one['score']:.3f}",
            one["passage_id"],
            one["removed"] or "kept",
            one["title"],
        ]
        for one in found["candidates"]
    ]
    print_table(["source", "rank", "score", "passage", "kept?", "title"], rows)


def mine(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="File for the rows, one JSON object a line; - for stdout.")],
) -> None:
    """Writes the night's training rows with the provenance of every negative."""
    from rag.assemble import open_app
    from retriever_training.show_negatives import night_rows

    settings = settings_of(context)
    with stages() as watch:
        rows = list(night_rows(open_app(settings), plan_of(settings), watch))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    if str(out) == "-":
        for line in lines:
            typer.echo(line)
    else:
        out.write_text("".join(line + "\n" for line in lines), "utf-8")
        typer.echo(f"{len(lines)} rows written to {out}", err=True)
