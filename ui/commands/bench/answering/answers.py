"""`nightjar bench answers`: what is quoted holds the known answer how often, next to ten lines of LangChain."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ui.commands.bench.harness.work_folder import work_folder
from ui.commands.console import JSON_OPTION, opened_app, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from eval.bench.answers import BenchQuestion, SideResult
    from rag.app.app import App
    from rag.embedding.encoder import Encoder
    from rag.records import Citation
    from rag.retrieval.retriever import Retriever

MEASURE_LABELS = {
    "hit": "answer in what is quoted",
    "hit_first": "answer in what stands first",
    "content_f1": "content-word F1",
    "token_f1": "token F1",
    "content_f1_first": "content-word F1 of what stands first",
    "short": "short answer in front",
    "short_exact": "  it is the known one, exactly",
    "short_right": "  it holds it, or is part of it",
    "words": "words quoted",
    "citations_valid": "spans equal to the stored text",
    "supported": "spans that support their sentence",
    "declined": "declined",
    "declined_without": "declined without the right passages",
    "auroc": "AUROC, with against without them",
    "aurc": "mean risk (AURC)",
    "p50_ms": "median, ms",
    "p95_ms": "p95, ms",
}


def answers(
    context: typer.Context,
    *,
    beir: Annotated[
        Path, typer.Option(help="A BEIR folder whose questions have metadata.answers.", show_default=False)
    ],
    split: Annotated[str, typer.Option(help="The split whose questions are used.")] = "dev",
    questions: Annotated[int, typer.Option(min=1, help="How many, drawn by the seed.")] = 300,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="Passages that Nightjar answers from.")] = 6,
    seed: Annotated[int, typer.Option(help="The seed of the draw of questions.")] = 13,
    out: Annotated[
        Path | None,
        typer.Option(help="Keep the library there, so that the next run encodes nothing.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the risk–coverage curve there, as SVG.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Answer questions with known answers, with their right passages and without them, next to ten lines of LangChain.

    LangChain's in-memory store holds the same passages with the same vectors; it quotes the top passage, or the best
    sentence of four passages, and never declines. Your library is not touched.

    [bold]Example[/bold]

    nightjar bench answers --beir datasets/nq-open --questions 100 --plot risk.svg
    """
    from eval.bench.answers import measure_sides
    from eval.datasets.beir import load_beir
    from rag.ingestion.ingest import ingest_beir

    dataset = load_beir(beir)
    with work_folder(out) as folder:
        context.obj["data"] = folder / "data"
        with opened_app(context) as app:
            ingest_beir(app.library, beir)
            with progress_bar("encoding the library", app.n_missing_vectors()) as advance:
                app.encode_missing(advance)
            asked = _asked(app, beir, split, questions, seed)
            with progress_bar("answering", len(asked), "questions") as advance:
                measured = measure_sides(asked, _sides(app, k), _stored(app), advance)
    if plot:
        plot.write_text(_curve(measured, dataset.name), "utf-8")
    figures = {name: side.figures() for name, side in measured.items()}
    if as_json:
        print_json({"dataset": dataset.name, "split": split, "n_questions": len(asked), "seed": seed, "sides": figures})
    else:
        rows = [[label, *(_cell(figures[name][key]) for name in figures)] for key, label in MEASURE_LABELS.items()]
        print_table(["", *figures], rows, f"{dataset.name}, {split}, {len(asked)} questions")


def _asked(app: App, beir: Path, split: str, n: int, seed: int) -> list[BenchQuestion]:
    """Up to *n* questions of the split whose answers are known, drawn by the seed.

    Raises:
        TooLittleDataError: none has an answer.
    """
    from eval.bench.answers import BenchQuestion
    from eval.datasets.beir import load_beir, locate_passages, translate_qrels
    from rag.errors import TooLittleDataError

    dataset = load_beir(beir)
    qrels = translate_qrels(dataset.split(split), locate_passages(dataset, app.library))
    known = sorted(query_id for query_id in qrels if query_id in dataset.answers)
    if not known:
        raise TooLittleDataError(
            f"no question of split {split!r} of {str(beir)!r} has metadata.answers: choose a set with known answers"
        )
    drawn = random.Random(seed).sample(known, min(n, len(known)))  # noqa: S311 (a benchmark's questions, no secret)
    return [
        BenchQuestion(
            question,
            dataset.queries[question],
            dataset.answers[question],
            frozenset(p for p, grade in qrels[question].items() if grade > 0),
        )
        for question in drawn
    ]


def _sides(app: App, k: int) -> dict[str, Any]:
    from eval.bench.answers import extractive_side
    from eval.bench.baselines.langchain_minimal import LangChainMinimal

    encoder = app.open_encoder()
    encoder.encode_queries(["warm"])
    ids, matrix = app.vectors().matrix()
    beside = LangChainMinimal(app.library.passages(), dict(zip(ids, matrix, strict=True)), encoder)
    return {
        "Nightjar": extractive_side(_retrievers(app, encoder), k),
        "LangChain, top passage": beside.top_passage,
        "LangChain, best sentence": beside.best_sentence,
    }


def _retrievers(app: App, encoder: Encoder) -> Callable[[frozenset[str]], Retriever]:
    """Passages that are not there → the current version over the others, searching exactly."""
    from eval.retrieval.leave_out import LeaveOutDense, LeaveOutLexical
    from rag.index.exact_search import ExactIndex
    from rag.retrieval.retriever import Retriever

    vectors, lexical, weight = app.vectors(), app.lexical(), app.current().lexical_weight
    exact = ExactIndex(vectors)

    def without(gone: frozenset[str]) -> Retriever:
        dense, words = (LeaveOutDense(exact, gone), LeaveOutLexical(lexical, gone)) if gone else (exact, lexical)
        return Retriever(encoder, dense, words, app.library, vectors, lexical_weight=weight)

    return without


def _stored(app: App) -> Callable[[Citation], str]:
    def stored(citation: Citation) -> str:
        passage = app.library.get([citation.passage_id])[citation.passage_id]
        return app.library.document(passage.document_id).text[citation.start : citation.end]

    return stored


def _curve(measured: Mapping[str, SideResult], name: str) -> str:
    from eval.report.output.svg_plots import RiskCurve, risk_plot

    kinds: tuple[Literal["ours", "theirs", "pale"], ...] = ("ours", "theirs", "pale")
    lines = []
    for kind, (label, side) in zip(kinds, measured.items(), strict=True):
        coverage, risk = side.risk_coverage()
        lines.append(RiskCurve(label, coverage.tolist(), risk.tolist(), kind))
    return risk_plot(
        lines, f"{name}: wrong answers by share answered; half of the questions are asked without their passages"
    )


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value <= 1 else f"{value:.1f}"
