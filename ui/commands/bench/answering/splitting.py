"""`nightjar bench splitting`: ways to cut documents, by what they let a reader see of the exact excerpts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.bench.harness.work_folder import work_folder
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from eval.bench.splitting import SplittingBench
    from eval.datasets.excerpts import ExcerptSet


def splitting(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Documents with spans.jsonl or questions.jsonl.", show_default=False)],
    *,
    characters: Annotated[
        int | None,
        typer.Option(min=1000, help="Of every document the first; all, where not given.", show_default=False),
    ] = None,
    shown: Annotated[list[int] | None, typer.Option(min=1, help="Tokens that are shown.", show_default="512")] = None,
    reads: Annotated[
        int, typer.Option(min=8, help="Tokens that the encoder reads; 256 cuts no passage off, as 128 would.")
    ] = 256,
    only: Annotated[
        list[str] | None, typer.Option(help="Splitters by a part of their name.", show_default="all")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keeps the vectors here; the next run encodes nothing.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Compare ways to cut documents: recall, precision and IoU of the wanted tokens among as many shown ones.

    Ours at several sizes, with overlap, and with less encoded; the former one by words; LangChain's
    RecursiveCharacterTextSplitter. Half of the questions, by their hash, are to choose by; the others are the report.

    [bold]Example[/bold]

    nightjar bench splitting datasets/chunkeval --shown 256 --shown 512
    """
    from eval.bench.baselines.splitters import all_splitters
    from eval.bench.splitting import measure_splitting
    from eval.datasets.excerpts import load_excerpts
    from rag.errors import UsageError
    from rag.splitting.token_offsets import PassageTokenizer
    from ui.commands.bench.harness.work_folder import save_and_open_base

    settings = load_command_settings(context)
    budgets = shown or [512]
    asked = load_excerpts(folder, characters)
    with work_folder(out) as work:
        encoder = save_and_open_base(work, settings.encoder.model_copy(update={"max_tokens": reads}))
        tokens = PassageTokenizer(encoder.folder)
        ways = all_splitters(tokens.starts, reads - tokens.n_overhead_tokens, settings.passages.max_tokens)
        ways = [method for method in ways if not only or any(part in method.name for part in only)]
        if not ways:
            raise UsageError(f"no splitter's name holds any of {only!r}: leave --only out to see them all")
        with progress_bar("splitting and encoding", len(ways), "splitters") as advance:
            measured = measure_splitting(
                asked,
                ways,
                encoder,
                tokens.starts,
                budgets=budgets,
                lexical_weight=settings.retrieval.lexical_weight,
                cache_folder=work,
                progress=advance,
            )
    default = next(
        (method for method in measured if method.name == f"{settings.passages.max_tokens} tokens"), measured[0]
    )
    if as_json:
        print_json(_as_json(asked, measured, budgets, default))
    else:
        _print(asked, measured, budgets, default)


def _rows(
    asked: ExcerptSet, measured: list[SplittingBench], budget: int, default: SplittingBench
) -> list[dict[str, object]]:
    from eval.bench.splitting import split_halves

    choose, report = split_halves(asked.questions)
    told = []
    for method in measured:
        against = method.compare_with(default, "recall", budget, report)
        told.append(
            {
                "splitter": method.name,
                "n_passages": method.n_passages,
                "mean_tokens": round(method.mean_tokens, 1),
                "n_tokens_encoded": method.n_tokens,
                "recall_choose": method.mean("recall", budget, choose),
                **{what: method.mean(what, budget, report) for what in ("recall", "precision", "iou")},
                "recall_gain": against.difference,
                "low": against.low,
                "high": against.high,
            }
        )
    return told


def _as_json(
    asked: ExcerptSet, measured: list[SplittingBench], budgets: list[int], default: SplittingBench
) -> dict[str, object]:
    return {
        "set": asked.name,
        "n_documents": len(asked.documents),
        "n_questions": len(asked.questions),
        "n_lost": asked.n_lost,
        "gain_over": default.name,
        "shown": {str(budget): _rows(asked, measured, budget, default) for budget in budgets},
    }


def _print(asked: ExcerptSet, measured: list[SplittingBench], budgets: list[int], default: SplittingBench) -> None:
    for budget in budgets:
        rows = [
            [
                str(row["splitter"]),
                f"{row['n_passages']:,}",
                f"{row['n_tokens_encoded']:,}",
                *(f"{row[key]:.3f}" for key in ("recall_choose", "recall", "precision", "iou")),
                f"{row['recall_gain']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})",
            ]
            for row in _rows(asked, measured, budget, default)
        ]
        title = (
            f"{asked.name}: {len(asked.documents)} documents, {len(asked.questions)} questions, {budget} tokens shown"
        )
        columns = [
            "",
            "passages",
            "tokens encoded",
            "recall, to choose by",
            "recall",
            "precision",
            "IoU",
            f"recall over {default.name}, 95 %",
        ]
        print_table(columns, rows, title)
    typer.echo(
        f"All but the first recall are of the other half of the questions. {asked.n_lost} excerpts do not stand "
        "in what was read, and were left out."
    )
