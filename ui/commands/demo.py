"""`nightjar demo`: the whole loop on one terminal page, with the documentation of installed Python packages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import load_command_settings, print_table, progress_bar, stage_progress_bars

if TYPE_CHECKING:
    from eval.datasets.beir import BeirDataset
    from eval.retrieval.evaluate import RetrievalScores
    from rag.app.app import App
    from rag.versions.registry import Version

N_QUESTIONS = (
    2500  # nearly all there are: with 2,000 the version was promoted too, but narrowly (p = .034 against .002)
)
VOTERS_PER_QUESTION = 3  # with one voter, held-out votes are too often mistaken to show a gain: see decision 0012
N_EXAMPLES = 3
TABLE_ROWS = (
    ("base", "lexical", "BM25"),
    ("base", "dense", "base encoder"),
    ("base", "fused", "base, served"),
    ("new", "dense", "new version, dense"),
    ("new", "fused", "new version, served"),
)
"""The version whose scores they are, the ranking, and its label in the table."""


def demo(
    context: typer.Context,
    tier: Annotated[
        str, typer.Option(help="1 (a query map, seconds) or 3 (both towers, half an hour and more).")
    ] = "1",
    questions: Annotated[int, typer.Option(help="How many training questions the people ask.", min=100)] = N_QUESTIONS,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its library; made anew each time.")] = Path(
        ".demo"
    ),
) -> None:
    """Show the loop: a library, people who ask and vote, a night, the gate, and what moved.

    The library is the documentation of the Python packages that are installed anyway; a question is a docstring's own
    summary, removed from its passage. Twenty simulated people, mistaken one time in five, ask and vote, three of
    them on each question. Nothing is downloaded, and your own library is not touched.

        nightjar demo
        nightjar demo --tier 3
    """
    from rag.app.app import open_app
    from retriever_training.nightly.run_night import run_night
    from ui.background.night_plan import build_night_plan

    context.obj["data"] = folder / "data"
    shutil.rmtree(folder / "data", ignore_errors=True)
    settings = load_command_settings(context, night={"tier": tier})
    started = time.monotonic()
    app = open_app(settings)
    dataset = _library(app, folder / "dataset")
    base = app.current()
    _say("2 · The day", _people(app, dataset, questions))
    with stage_progress_bars() as watch:
        summary = run_night(app.stores, build_night_plan(settings), watch)
    told = f"tier {summary.tier}, {summary.seconds:.0f} s, {summary.n_passages_encoded} passages encoded anew"
    _say(f"3 · The night ({told})", "\n".join(f"  {reason}" for reason in summary.reasons))
    _say("4 · The gate", f"  {summary.decision}: version {app.current().encoder_id} answers")
    _measured(app, dataset, base, app.current())
    app.close()
    minutes = (time.monotonic() - started) / 60
    typer.echo(f"\n{minutes:.1f} minutes in all. Your own documents: nightjar ingest PATH, then nightjar serve")


def _say(title: str, text: str) -> None:
    typer.secho(f"\n{title}", bold=True)
    typer.echo(text)


def _library(app: App, folder: Path) -> BeirDataset:
    from eval.datasets.beir import load_beir
    from eval.datasets.docstring_corpus import write_docstring_corpus
    from rag.ingestion.ingest import ingest_beir

    written = write_docstring_corpus(folder)
    ingest_beir(app.library, folder)
    with progress_bar("encoding the library", app.n_missing_vectors()) as advance:
        app.encode_missing(advance)
    asked = written.n_questions
    _say(
        "1 · The library",
        f"  {written.n_passages:,} passages of documentation, {asked['train']:,} training questions, "
        f"{asked['test']:,} held out for the test",
    )
    return load_beir(folder)


def _people(app: App, dataset: BeirDataset, n: int) -> str:
    from retriever_training.simulation.simulated_users import Behaviour, record_simulated_turns
    from ui.commands.training.simulate import draw_questions, format_summary, simulate_people, summarise_simulation

    behaviour = Behaviour(searches=1.0, voices=VOTERS_PER_QUESTION)
    right = draw_questions(dataset, app, "train", n, seed=13)
    asked = simulate_people(app, right, behaviour, seed=13)
    n_new = record_simulated_turns(app.feedback, asked)
    return "  " + format_summary(
        {"n_people": behaviour.n_people, **summarise_simulation(asked, right), "n_new_votes": n_new}
    )


def _measured(app: App, dataset: BeirDataset, base: Version, after: Version) -> None:
    """Prints the table of test questions, and some that moved."""
    from ui.commands.evaluation.retrieval import measure_retrieval

    seen = app.registry.training_positives(after.encoder_id)
    scores = {
        "base": measure_retrieval(app, dataset, "test", base, seen),
        "new": measure_retrieval(app, dataset, "test", after, seen),
    }
    _say("5 · The test questions, which nobody asked or voted on", "")
    rows = []
    for name, mask in scores["new"].slices().items():
        if not mask.any():
            continue
        for which, side, label in TABLE_ROWS:
            rows.append(
                [f"{name} ({mask.sum():,})" if side == "lexical" else "", label, *_cells(scores[which], name, side)]
            )
    print_table(["questions", "retriever", "nDCG@10", "MRR@10", "recall@10"], rows)
    _moved(app, dataset, base, after, scores)


def _cells(scores: RetrievalScores, which: str, side: str) -> list[str]:
    from ui.commands.evaluation.retrieval import format_mean

    means, intervals = scores.means(which)[side], scores.intervals(which)[side]
    return [format_mean(means[name], intervals[name]) for name in intervals]


def _moved(
    app: App, dataset: BeirDataset, base: Version, after: Version, scores: Mapping[str, RetrievalScores]
) -> None:
    """Prints the questions that gained most, and the votes on the questions nearest to them."""
    from eval.datasets.beir import locate_passages

    if base.encoder_id == after.encoder_id:
        return
    gains = scores["new"].array("fused", "nDCG@10") - scores["base"].array("fused", "nDCG@10")
    order = sorted(range(len(gains)), key=lambda index: -gains[index])[:N_EXAMPLES]
    located = locate_passages(dataset, app.library)
    _say("6 · Three right passages that moved", "")
    for index in order:
        query_id = scores["new"].query_ids[index]
        question = dataset.queries[query_id]
        right = next(located[passage_id] for passage_id, grade in dataset.split("test")[query_id].items() if grade > 0)
        typer.echo(f"  “{question}”")
        typer.echo(
            f"     {app.library.get([right])[right].title}: rank {_rank(app, base, question, right)} → "
            f"{_rank(app, after, question, right)}"
        )
        for vote in _nearest_votes(app, question):
            typer.echo(f"     taught by {vote}")


def _rank(app: App, version: Version, question: str, passage_id: str) -> str:
    hits = app.retriever_for(version.encoder_id, distinct=False).search(question, k=100)
    return str(next((hit.rank for hit in hits if hit.passage.passage_id == passage_id), "beyond 100"))


def _nearest_votes(app: App, question: str, n: int = 2) -> list[str]:
    """Returns the votes on the judged training questions that are most similar to this one."""
    from rag.embedding.query_vectors import get_query_vectors

    encoder: Any = app.open_encoder(app.registry.base().encoder_id)
    standing = [
        verdict for verdict in app.feedback.standing() if verdict.verdict in ("pin", "helpful") and verdict.passage_id
    ]
    vectors = get_query_vectors(app.engine, encoder, [verdict.question for verdict in standing])
    order = (vectors @ encoder.encode_queries([question])[0]).argsort()[::-1]
    nearest = list({standing[row].question: standing[row] for row in order[: n * VOTERS_PER_QUESTION]}.values())[:n]
    titles = app.library.get([neighbour.passage_id or "" for neighbour in nearest])
    return [
        f"{neighbour.user}: {neighbour.verdict} of {titles[neighbour.passage_id or ''].title!r} for “{neighbour.question}”"
        for neighbour in nearest
    ]
