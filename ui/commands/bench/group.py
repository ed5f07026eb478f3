"""`nightjar bench`: our parts side by side with what a user would pick instead, in one run on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.bench.answering.abstention import declining
from ui.commands.bench.answering.answers import answers
from ui.commands.bench.answering.chat import chat
from ui.commands.bench.answering.ingest import ingest
from ui.commands.bench.answering.insights import insights
from ui.commands.bench.answering.pages import pages
from ui.commands.bench.answering.report import report
from ui.commands.bench.answering.search import search
from ui.commands.bench.answering.splitting import splitting
from ui.commands.bench.learning.big_night import big_night
from ui.commands.bench.learning.false_negatives import false_negatives
from ui.commands.bench.learning.forgetting import forgetting
from ui.commands.bench.learning.gate import gate
from ui.commands.bench.learning.mining import mining
from ui.commands.bench.learning.night import night
from ui.commands.bench.learning.poisoning import poison
from ui.commands.bench.learning.training import training
from ui.commands.command_group import command_group
from ui.commands.console import JSON_OPTION, print_json, print_table, progress_bar
from ui.commands.training.cold_start import bench_cold_start

if TYPE_CHECKING:
    from eval.bench.bm25 import LexicalBench

BeirOption = Annotated[Path | None, typer.Option("--beir", help="A BEIR folder.", show_default=False)]


def lexical(
    *,
    passages: Annotated[int, typer.Option(min=1, help="How many passages to make up, if no folder is given.")] = 20_000,
    questions: Annotated[int, typer.Option(min=1, help="How many questions.")] = 50,
    beir: BeirOption = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Time BM25: ours next to rank-bm25, whose scores it reproduces, and bm25s; and what a new file costs.

    Each question is scored by all of them in turn, over all passages. Without --beir the words are drawn by Zipf's law.
    Then a file of 20 passages is added, one of its passages changed, and the file removed, each next to counting all again.

    [bold]Examples[/bold]

    nightjar bench lexical

    nightjar bench lexical --beir datasets/scifact --json
    """
    from eval.bench.bm25 import measure_lexical, zipf_texts

    if beir is None:
        texts, asked = zipf_texts(passages, questions)
    else:
        texts, asked = _beir_texts(beir, questions)
    measured = measure_lexical(texts, asked)
    if as_json:
        print_json(asdict(measured) | {"times_faster_than_rank_bm25": measured.times_faster})
    else:
        _print_lexical(measured)


def serving(
    *,
    beir: Annotated[Path, typer.Option(help="A BEIR folder, whose questions are asked.", show_default=False)],
    url: Annotated[str, typer.Option(help="A running server.")] = "http://127.0.0.1:7860",
    seconds: Annotated[float, typer.Option(min=1, help="For how many seconds.")] = 60,
    per_second: Annotated[float, typer.Option(min=0.01, help="How many questions a second.")] = 2,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Ask a running server at a steady pace: how long answers take, which fail, and when the version changes.

    Run a night meanwhile, and see that nobody notices. Exit code 1 if a request failed.

    [bold]Example[/bold]

    nightjar bench serving --beir datasets/scifact --seconds 300
    """
    from eval.bench.serving import measure_serving
    from eval.datasets.beir import load_beir

    questions = list(load_beir(beir).queries.values())
    with progress_bar("asking", round(seconds * per_second), "questions") as advance:
        measured = measure_serving(url, questions, seconds=seconds, per_second=per_second, progress=advance)
    if as_json:
        print_json(asdict(measured))
    else:
        typer.echo(
            f"{measured.n_requests:,} requests, {len(measured.failures):,} failed; p50 {_ms(measured.p50_ms)}, "
            f"p95 {_ms(measured.p95_ms)}, max {_ms(measured.max_ms)}; "
            f"answered by {' → '.join(measured.versions) or 'no version'}"
        )
        for failure in measured.failures[:10]:
            typer.echo(failure, err=True)
    if measured.failures:
        raise typer.Exit(1)


def _ms(time: float | None) -> str:
    return "–" if time is None else f"{time:.0f} ms"


def _beir_texts(folder: Path, n_questions: int) -> tuple[list[str], list[str]]:
    from eval.datasets.beir import load_beir

    dataset = load_beir(folder)
    texts = ["\n".join(filter(None, (title, text))) for _, title, text in dataset.corpus()]
    return texts, list(dataset.queries.values())[:n_questions]


def _print_lexical(measured: LexicalBench) -> None:
    names = {"Nightjar": measured.nightjar, "bm25s": measured.bm25s, "rank-bm25": measured.rank_bm25}
    rows = [
        [
            name,
            f"{timing.build_s:.2f}",
            f"{timing.question_ms:.3f}",
            f"{measured.rank_bm25.question_ms / timing.question_ms:.0f}",
        ]
        for name, timing in names.items()
    ]
    title = (
        f"BM25 over {measured.n_passages:,} passages, {measured.n_questions} questions of "
        f"{measured.words_per_question:.1f} words"
    )
    print_table(["library", "build, s", "ms a question", "times rank-bm25's speed"], rows, title)
    typer.echo(f"Nightjar's scores differ from rank-bm25's by at most {measured.largest_difference:.0e}.")
    kept = measured.upkeep
    typer.echo(
        f"A file of {kept.n_new} passages: added in {kept.add_s:.3f} s, one passage changed in {kept.change_s:.3f} s, "
        f"removed in {kept.remove_s:.3f} s; all counted anew in {kept.anew_s:.2f} s."
    )


bench_group = command_group(
    "bench",
    "Measure our parts next to what you would pick instead, on this machine.",
    [
        lexical,
        ingest,
        search,
        serving,
        chat,
        insights,
        pages,
        report,
        answers,
        splitting,
        declining,
        gate,
        night,
        big_night,
        poison,
        forgetting,
        training,
        mining,
        false_negatives,
    ],
)
bench_group.command("cold-start")(bench_cold_start)
