"""`nightjar bench night`: one night on a data set's own labels, measured on its test questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import (
    JSON_OPTION,
    load_command_settings,
    print_json,
    print_table,
    progress_bar,
    stage_progress_bars,
)

if TYPE_CHECKING:
    from eval.datasets.beir import BeirDataset
    from eval.retrieval.evaluate import RetrievalScores
    from rag.app.app import App
    from retriever_training.versions.night_summary import NightSummary

RANKING_LABELS = {"lexical": "BM25", "dense": "dense", "fused": "served"}


def night(
    context: typer.Context,
    *,
    beir: Annotated[Path, typer.Option(help="A BEIR folder with train and test labels.", show_default=False)],
    tier: Annotated[str, typer.Option(help="auto, 1, 2 or 3.")] = "1",
    wrong: Annotated[float, typer.Option(min=0, max=1, help="Share of the pins that name a wrong passage.")] = 0.0,
    ratings: Annotated[
        Path | None, typer.Option(help="People's ratings (JSON lines) in place of the labels.", show_default=False)
    ] = None,
    split: Annotated[str, typer.Option(help="The split whose labels, or ratings, are learnt from.")] = "train",
    seed: Annotated[int, typer.Option(help="The seed of the draw of wrong pins.")] = 13,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Run one night on a data set's labels, given as pins, and measure base and new version on its test questions.

    With --wrong half of the wrong pins name a passage that is shown, half any passage. Your library is not touched.

    [bold]Examples[/bold]

    nightjar bench night --beir datasets/scifact

    nightjar bench night --beir datasets/scifact --tier 3 --wrong 0.3
    """
    from eval.datasets.beir import load_beir
    from rag.app.app import open_app
    from rag.ingestion.ingest import ingest_beir
    from retriever_training.nightly.run_night import run_night
    from ui.background.night_plan import build_night_plan
    from ui.commands.evaluation.retrieval import measure_retrieval

    dataset = load_beir(beir)
    with TemporaryDirectory(prefix="nightjar-bench-") as folder:
        context.obj["data"] = Path(folder) / "data"
        settings = load_command_settings(context, night={"tier": tier})
        app = open_app(settings)
        try:
            ingest_beir(app.library, beir)
            with progress_bar("encoding the library", app.n_missing_vectors()) as advance:
                app.encode_missing(advance)
            n_verdicts = _give(
                app, dataset, split=split, wrong=wrong, ratings=ratings, seed=seed, file=Path(folder) / "verdicts.jsonl"
            )
            base = app.current()
            with stage_progress_bars() as watch:
                summary = run_night(app.stores, build_night_plan(settings), watch)
            after = app.current()
            seen = app.registry.training_positives(after.encoder_id)
            scores = {"base": measure_retrieval(app, dataset, "test", base, seen)}
            if after.encoder_id != base.encoder_id:
                scores["new"] = measure_retrieval(app, dataset, "test", after, seen)
        finally:
            app.close()
    if as_json:
        print_json(
            {
                "dataset": dataset.name,
                "wrong": wrong,
                "n_verdicts": n_verdicts,
                "night": summary.as_json(),
                "test": {name: _means(score) for name, score in scores.items()},
            }
        )
    else:
        _print(dataset.name, n_verdicts, summary, scores)


def _give(app: App, dataset: BeirDataset, split: str, wrong: float, ratings: Path | None, seed: int, file: Path) -> int:
    """Imports the verdicts as anybody would, and returns how many there are."""
    from rag.feedback.import_export import import_verdicts
    from retriever_training.simulation.label_votes import pins_from_labels, verdicts_from_ratings

    shown = {} if ratings or not wrong else _shown(app, dataset, split)
    lines = verdicts_from_ratings(ratings, split) if ratings else pins_from_labels(dataset, split, shown, wrong, seed)
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return import_verdicts(app.feedback, app.library, file).n_new


def _shown(app: App, dataset: BeirDataset, split: str) -> dict[str, list[str]]:
    """What the current version shows for each question, by the passages' ids in the data set."""
    from eval.datasets.beir import locate_passages
    from ui.commands.training.simulate import search_questions

    external = {inside: outside for outside, inside in locate_passages(dataset, app.library).items()}
    asked = {query_id: dataset.queries[query_id] for query_id in sorted(dataset.split(split))}
    shown = search_questions(app, list(dict.fromkeys(asked.values())))
    return {query_id: [external[hit.passage_id] for hit in shown[text]] for query_id, text in asked.items()}


def _means(scores: RetrievalScores) -> dict[str, Any]:
    return {name: scores.means(name) for name, mask in scores.slices().items() if mask.any()}


def _print(name: str, n_verdicts: int, summary: NightSummary, scores: Mapping[str, RetrievalScores]) -> None:
    from ui.commands.evaluation.retrieval import format_mean

    typer.echo(
        f"{n_verdicts:,} verdicts; {summary.decision} after {summary.seconds:.0f} s, "
        f"{summary.n_passages_encoded:,} passages encoded anew"
    )
    for reason in summary.reasons:
        typer.echo(f"  {reason}")
    rows = []
    for part, mask in scores["base"].slices().items():
        if mask.any():
            for side, label in RANKING_LABELS.items():
                rows.append(
                    [f"{part} ({mask.sum():,})", label]
                    + [
                        format_mean(score.means(part)[side]["nDCG@10"], score.intervals(part)[side]["nDCG@10"])
                        for score in scores.values()
                    ]
                )
    print_table(["test questions", "retriever", *(f"nDCG@10, {version}" for version in scores)], rows, name)
