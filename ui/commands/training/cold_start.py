"""`cold-start` and `bench cold-start`: training questions made from the library itself, and what they add."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, print_table, progress_bar, write_lines

if TYPE_CHECKING:
    from rag.app.app import App
    from rag.records import Passage
    from retriever_training.bench.cold_start import ColdStartBench
    from retriever_training.cold_start.pseudo_rows import PseudoQuestionSet

N_SHOWN_PER_SOURCE = 3  # how many questions of each source are shown
PSEUDO_QUESTION_WEIGHT = 1.0  # of exported questions; a night that mixes them with people's weights them again


def cold_start(
    context: typer.Context,
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="File for the questions, one JSON object a line; - for stdout.", show_default=False),
    ] = None,
    write_for: Annotated[
        int, typer.Option(min=0, help="Let generator.model write questions for this many passages, drawn at random.")
    ] = 0,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show the training questions that a library without votes yields, and what was left out and why.

    Headings, first sentences and sentences of summaries become questions for their passages, from which these words are
    removed. A question is kept if the base finds its passage by the rest.

    [bold]Examples[/bold]

    nightjar cold-start

    nightjar cold-start --out questions.jsonl
    """

    with opened_app(context) as app:
        passages, cold = build_pseudo_questions(app, write_for)
    lines = list(_lines(passages, cold))
    if as_json:
        print_json({"counts": cold.counts, "questions": lines})
    elif out is None:
        _print(lines, cold)
    else:
        write_lines(lines, out, "questions")


def bench_cold_start(
    context: typer.Context,
    *,
    beir: Annotated[Path, typer.Option(help="A BEIR folder with train labels.", show_default=False)],
    split: Annotated[str, typer.Option(help="The split whose questions are measured.")] = "test",
    judged: Annotated[
        str, typer.Option(help="How many train questions people judged; several numbers, separated by commas.")
    ] = "0",
    weight: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of the library's own questions next to people's.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed draws other judged questions.")] = 13,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure what a library's own questions add to tier 1, source by source, alone or next to people's judgments.

    Your library is not touched.

    [bold]Example[/bold]

    nightjar bench cold-start --beir datasets/scifact --judged 0,50,200
    """
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from retriever_training.bench.cold_start import ALL_SOURCES
    from retriever_training.cold_start.pseudo_questions import PSEUDO_QUESTION_SOURCES

    numbers = _numbers(judged)
    with TemporaryDirectory(prefix="nightjar-bench-") as folder:
        context.obj["data"] = Path(folder) / "data"
        bench = _bench(context, beir, split, weight, seed)
        with progress_bar(
            "measuring", len(numbers) * len((*PSEUDO_QUESTION_SOURCES, ALL_SOURCES)), "sources"
        ) as advance:
            lines = list(bench.lines(numbers, advance))
    if as_json:
        print_json({"dataset": beir.name, "split": split, "weight": weight, "lines": [asdict(line) for line in lines]})
        return
    rows = [
        [
            str(line.n_judged),
            line.source,
            f"{line.n_cold:,}",
            f"{line.served.mean_current:.4f}",
            f"{line.served.mean_candidate:.4f}",
            f"{line.served.difference:+.4f} ({line.served.low:+.4f} to {line.served.high:+.4f})",
            *("–" if part is None else f"{part:+.4f}" for part in (line.seen, line.unseen)),
        ]
        for line in lines
    ]
    columns = ["judged", "source", "questions", "without", "with", "difference", "seen", "unseen"]
    print_table(columns, rows, f"{beir.name}, {split}: served nDCG@10")


def _numbers(judged: str) -> list[int]:
    from rag.errors import UsageError

    try:
        return [int(number) for number in judged.split(",")]
    except ValueError:
        raise UsageError(f"--judged is {judged!r}: write whole numbers separated by commas, as in 0,50,200") from None


def _bench(context: typer.Context, beir: Path, split: str, weight: float, seed: int) -> ColdStartBench:
    """Makes a library of the data set's passages in its own folder, encoded by the base."""
    from eval.datasets.beir import load_beir, locate_passages, translate_qrels
    from rag.ingestion.ingest import ingest_beir
    from retriever_training.bench.cold_start import ColdStartBench

    dataset = load_beir(beir)
    with opened_app(context) as app:
        ingest_beir(app.library, beir)
        with progress_bar("encoding the library", app.n_missing_vectors()) as advance:
            app.encode_missing(advance)
        ids = locate_passages(dataset, app.library)
        train, measured = (translate_qrels(dataset.split(name), ids) for name in ("train", split))
        version, vectors = app.current(), app.vectors().matrix()[1]
        return ColdStartBench(
            passages=app.library.passages(),
            vectors=vectors,
            lexical=app.lexical(),
            encoder=app.open_encoder(),
            lexical_weight=version.lexical_weight,
            questions=dataset.queries,
            train=train,
            measured=measured,
            weight=weight,
            seed=seed,
        )


def build_pseudo_questions(
    app: App, write_for: int, sources: Sequence[str] | None = None, n: int | None = None
) -> tuple[list[Passage], PseudoQuestionSet]:
    """Returns the library's passages and the questions made from them: from *sources*, *n* at most."""
    from retriever_training.cold_start.pseudo_questions import MAX_PSEUDO_QUESTIONS, PSEUDO_QUESTION_SOURCES
    from retriever_training.cold_start.pseudo_rows import build_pseudo_question_set

    app.current()
    base, passages = app.registry.base(), app.library.passages()
    encoder, vectors = app.open_encoder(base.encoder_id), app.vectors(base.passage_side)
    with progress_bar("encoding the library", vectors.missing()) as advance:
        vectors.fill(encoder, advance)
    written = list(_written(app, passages, write_for)) if write_for else []
    weight, seed = base.lexical_weight, app.settings.night.seed
    return passages, build_pseudo_question_set(
        passages,
        encoder,
        passage_vectors=vectors.matrix()[1],
        lexical_weight=weight,
        weight=PSEUDO_QUESTION_WEIGHT,
        seed=seed,
        llm_questions=written,
        sources=PSEUDO_QUESTION_SOURCES if sources is None else sources,
        n=n or MAX_PSEUDO_QUESTIONS,
    )


def _written(app: App, passages: list[Passage], n: int) -> Iterator[tuple[int, str]]:
    from collections import Counter

    from rag.generation.chat.providers import open_chat_model
    from retriever_training.cold_start.llm_questions import write_llm_questions

    chosen = app.settings.generator
    model = open_chat_model(
        chosen.model,
        base_url=chosen.base_url,
        api_key=chosen.api_key,
        timeout_s=chosen.timeout_s,
        max_tokens=chosen.max_tokens,
    )
    dropped: Counter[str] = Counter()
    with progress_bar("writing questions", min(n, len(passages))) as advance:
        yield from write_llm_questions(
            passages, model, n_passages=n, seed=app.settings.night.seed, dropped=dropped, progress=advance
        )
    for reason, times in dropped.items():
        if times:
            typer.echo(f"{reason}: {times:,}", err=True)


def _lines(passages: list[Passage], cold: PseudoQuestionSet) -> Iterator[dict[str, Any]]:
    """Yields one object a question, with the passages that are trained on."""
    from retriever_training.judgments.snapshot import best_supported

    for question, right, source in zip(cold.asked.questions, cold.asked.right, cold.sources, strict=True):
        rows = sorted(best_supported(right))
        yield {
            "query": question,
            "source": source,
            "passages": [{"passage_id": passages[row].public_id, "text": cold.texts[row]} for row in rows],
        }


def _print(lines: list[dict[str, Any]], cold: PseudoQuestionSet) -> None:
    shown = [line for source in dict.fromkeys(cold.sources) for line in _first(lines, source)]
    rows = [
        [line["source"], line["query"], ", ".join(passage["passage_id"] for passage in line["passages"])]
        for line in shown
    ]
    print_table(["source", "question", "passage"], rows, f"{len(lines):,} questions, of which the first")
    print_table(["what became of them", "questions"], [[reason, f"{n:,}"] for reason, n in cold.counts.items()])


def _first(lines: list[dict[str, Any]], source: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["source"] == source][:N_SHOWN_PER_SOURCE]
