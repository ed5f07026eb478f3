"""`nightjar bench declining`: finds the lines that Nightjar ships, on labelled sets, and tells what they are worth."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.bench.harness.work_folder import work_folder
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from rag.embedding.encoder import Encoder
    from retriever_training.abstention.leave_out_examples import AnswerableQuestions, SearchableLibrary

COLUMN_LABELS = {
    "auroc": "AUROC, with against without",
    "auroc_cosine": "best cosine",
    "auroc_foreign": "against others' questions",
    "auroc_cosine_foreign": "best cosine",
    "declined": "declined",
    "declined_without": "without",
    "declined_foreign": "others'",
}


def declining(
    context: typer.Context,
    *,
    beir: Annotated[list[Path], typer.Option(help="A BEIR folder; name two or more.", show_default=False)],
    split: Annotated[str, typer.Option(help="The split whose questions are used.")] = "train",
    questions: Annotated[int, typer.Option(min=10, help="How many of each set, drawn by the seed.")] = 300,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="Passages that are answered from.")] = 6,
    seed: Annotated[int, typer.Option(help="The seed of the draw of questions.")] = 13,
    out: Annotated[
        Path | None,
        typer.Option(help="Keep the libraries there, so that the next run encodes nothing.", show_default=False),
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Find the lines that decide whether a question is answered, and measure them on sets that they were not found on.

    Each set's questions are seen with their right passages, without them, and next to other sets' questions. The table
    has, for each set, the lines of the others. Your library is not touched.

    [bold]Example[/bold]

    nightjar bench declining --beir datasets/nq-open --beir datasets/covidqa
    """
    from dataclasses import asdict

    from rag.errors import UsageError
    from retriever_training.bench.abstention import collect_examples, fit_threshold, leave_one_out_figures

    if len(beir) < 2:
        raise UsageError("--beir names one set: name two or more, so that each is measured by the others")
    libraries: dict[str, SearchableLibrary] = {}
    asked: dict[str, AnswerableQuestions] = {}
    with work_folder(out) as folder:
        for dataset in beir:
            context.obj["data"] = folder / dataset.name / "data"
            encoder, libraries[dataset.name], asked[dataset.name] = _opened(context, dataset, split, questions, seed)
        with progress_bar("looking", sum(len(question.texts) for question in asked.values()), "questions") as advance:
            seen = collect_examples(
                libraries, asked, encoder, k=k, n_out_of_domain=questions // 3, seed=seed, progress=advance
            )
    bar, measured = fit_threshold(list(seen.values())), leave_one_out_figures(seen)
    if as_json:
        print_json({"split": split, "questions": questions, "seed": seed, "bar": asdict(bar), "sets": measured})
        return
    rows = [[name, *(f"{figures[key]:.3f}" for key in COLUMN_LABELS)] for name, figures in measured.items()]
    print_table(
        ["", *COLUMN_LABELS.values()], rows, f"{split}, {questions} questions a set, by the lines of the other sets"
    )
    typer.echo(f"of all sets: {bar}")


def _opened(
    context: typer.Context, beir: Path, split: str, n: int, seed: int
) -> tuple[Encoder, SearchableLibrary, AnswerableQuestions]:
    """The set as a library in a folder of its own, and up to *n* of its questions."""
    from eval.datasets.beir import load_beir, locate_passages, translate_qrels
    from rag.app.app import open_app
    from rag.ingestion.ingest import ingest_beir
    from retriever_training.abstention.calibrate import searchable_library
    from retriever_training.abstention.leave_out_examples import AnswerableQuestions

    dataset = load_beir(beir)
    app: Any = open_app(load_command_settings(context))
    try:
        ingest_beir(app.library, beir)
        with progress_bar(f"encoding {beir.name}", app.n_missing_vectors()) as advance:
            app.encode_missing(advance)
        encoder, holdings = app.open_encoder(), searchable_library(app.stores)
        qrels = translate_qrels(dataset.split(split), locate_passages(dataset, app.library))
    finally:
        app.close()
    drawn = random.Random(seed).sample(sorted(qrels), min(n, len(qrels)))  # noqa: S311 (a benchmark's questions, no secret)
    row = {passage.passage_id: index for index, passage in enumerate(holdings.passages)}
    texts = [dataset.queries[question] for question in drawn]
    right = [[row[passage] for passage, grade in qrels[question].items() if grade > 0] for question in drawn]
    return encoder, holdings, AnswerableQuestions(texts, encoder.encode_queries(texts), right)
