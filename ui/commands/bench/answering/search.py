"""`nightjar bench search`: one question, part by part, next to LangChain's hybrid retriever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from eval.bench.baselines.langchain_ensemble import LangChainEnsemble
    from eval.bench.search import LatencySpread, SearchBench, ServedRetriever
    from rag.embedding.encoder import Encoder
    from rag.embedding.passage_vectors import PassageVectors
    from rag.library.library import Library

STAGE_LABELS = {
    "encode": "the question's vector",
    "dense": "nearest vectors, by Chroma",
    "lexical": "BM25",
    "fetch": "texts and vectors from SQL",
    "fusion": "fusion, and what else",
}


def search(
    context: typer.Context,
    *,
    beir: Annotated[Path, typer.Option(help="A BEIR folder with labels.", show_default=False)],
    split: Annotated[str, typer.Option(help="Which of its qrels files.")] = "dev",
    passages: Annotated[int, typer.Option(min=1, help="Pad its passages with made-up ones to this many.")] = 100_000,
    questions: Annotated[int, typer.Option(min=1, help="How many questions of the split, from the first.")] = 100,
    their_k: Annotated[int, typer.Option(min=1, help="Results of each of LangChain's two retrievers.")] = 10,
    alone: Annotated[bool, typer.Option("--alone", help="Without LangChain's retriever.")] = False,
    keep: Annotated[
        Path | None, typer.Option(help="Where the library and both indexes stay for the next run.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Time one question, part by part, next to LangChain's EnsembleRetriever of BM25Retriever and langchain-chroma.

    Both search the same passages by the same vectors and encode the question by the same encoder, in turn. The folder's
    passages are encoded; the padding has words drawn from them and random vectors around theirs. nDCG@10 is that of
    the folder's questions in the whole library. LangChain's parts come with the extra `bench`.

    [bold]Examples[/bold]

    nightjar bench search --beir datasets/scifact --split test

    nightjar bench search --beir datasets/scifact --split test --passages 20000 --alone --json
    """
    from eval.bench.search import measure_search
    from eval.bench.workloads.synthetic_library import fill_library, open_padded_library
    from eval.datasets.beir import load_beir, locate_passages, translate_qrels
    from rag.embedding.passage_vectors import PassageVectors
    from rag.library.library import Library

    settings = load_command_settings(context)
    dataset = load_beir(beir)
    with ExitStack() as undo:
        work = keep or Path(undo.enter_context(TemporaryDirectory(prefix="nightjar-bench-")))
        engine = open_padded_library(work)
        undo.callback(engine.dispose)
        encoder = _encoder(work / "base", settings.encoder.model, settings.encoder.max_tokens, settings.encoder.threads)
        advance = undo.enter_context(progress_bar("fill", passages))
        n_real = fill_library(engine, beir, encoder, passages, progress=advance)
        library, vectors = Library(engine), PassageVectors(engine, encoder.passage_side)
        qrels = dict(
            islice(translate_qrels(dataset.split(split), locate_passages(dataset, library)).items(), questions)
        )
        theirs = None if alone else _theirs(library, vectors, encoder, work / "langchain", their_k)
        ours = undo.enter_context(_served(library, vectors, encoder, work / "index", settings.retrieval.lexical_weight))
        asking = undo.enter_context(progress_bar("ask", len(qrels), "questions"))
        measured = measure_search(
            ours,
            theirs,
            {query_id: dataset.queries[query_id] for query_id in qrels},
            qrels,
            n_passages=library.n_passages(),
            n_real=n_real,
            progress=asking,
        )
    if as_json:
        print_json(asdict(measured) | {"times_faster": measured.times_faster})
    else:
        _print(measured)


def _encoder(folder: Path, model: str, max_tokens: int, threads: int) -> Encoder:
    from rag.embedding.encoder import Encoder
    from rag.versions.base_model import save_base

    if not folder.exists():
        save_base(model, max_tokens, folder)
    return Encoder.open(folder, threads=threads)


@contextmanager
def _served(
    library: Library, vectors: PassageVectors, encoder: Encoder, root: Path, weight: float
) -> Iterator[ServedRetriever]:
    from eval.bench.search import ServedRetriever

    served = ServedRetriever(library, vectors, encoder, root, weight=weight)
    try:
        if served.state != "ready":
            typer.echo(f"Chroma's index is {served.state}: nearest vectors are found by exact search", err=True)
        yield served
    finally:
        served.close()


def _theirs(
    library: Library, vectors: PassageVectors, encoder: Encoder, root: Path, k: int
) -> LangChainEnsemble | None:
    from eval.bench.baselines.langchain_ensemble import NEEDED, LangChainEnsemble, is_installed

    if not is_installed():
        typer.echo(
            f"LangChain's parts are not all installed ({', '.join(NEEDED)}): pip install 'nightjar-rag[bench]'",
            err=True,
        )
        return None
    ids, matrix = vectors.matrix()
    texts = {passage.passage_id: passage.encoded_text for passage in library.iterate_passages()}
    return LangChainEnsemble(ids, [texts[passage_id] for passage_id in ids], matrix, encoder, root, k=k)


def _print(measured: SearchBench) -> None:
    rows = [["Nightjar", *_cells(measured.nightjar.whole), f"{measured.nightjar.ndcg:.3f}"]]
    rows += [[f"  {label}", *_cells(measured.stages[stage]), ""] for stage, label in STAGE_LABELS.items()]
    rows.append(["  first words of an answer", *_cells(measured.first_answer), ""])
    if measured.theirs:
        rows += [["LangChain's ensemble", *_cells(measured.theirs.whole), f"{measured.theirs.ndcg:.3f}"]]
    title = (
        f"{measured.n_passages:,} passages, {measured.n_passages - measured.n_real:,} of them made up with random vectors "
        f"around the others'; {measured.n_questions:,} questions, {measured.n_threads} threads"
    )
    print_table(["", "median, ms", "95th percentile, ms", "nDCG@10"], rows, title)
    if measured.times_faster is not None:
        typer.echo(f"Nightjar is {measured.times_faster:g} times as fast, by the medians.")


def _cells(spread: LatencySpread) -> list[str]:
    return [f"{spread.median_ms:.1f}", f"{spread.p95_ms:.1f}"]
