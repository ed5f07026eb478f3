"""`nightjar eval retrieval`: measures what a version finds, on questions whose right passages are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, print_table, progress_bar
from ui.commands.evaluation.options import (
    DATASET_OPTION,
    GOLDEN_OPTION,
    SPLIT_OPTION,
    VERSION_OPTION,
    encode_missing,
    load_question_set,
)

if TYPE_CHECKING:
    from eval.datasets.beir import BeirDataset
    from eval.datasets.question_sets import QuestionSet
    from eval.retrieval.evaluate import RetrievalScores
    from eval.retrieval.reranking import RerankingComparison
    from rag.app.app import App
    from rag.versions.registry import Version

RANKING_LABELS = {"lexical": "BM25", "dense": "dense", "rrf": "by ranks", "fused": "served"}
SLICE_LABELS = {"all": "all questions", "seen": "passage seen in training", "unseen": "passage never seen"}


def retrieval(
    context: typer.Context,
    *,
    dataset: DATASET_OPTION = None,
    golden: GOLDEN_OPTION = False,
    split: SPLIT_OPTION = "test",
    version: VERSION_OPTION = None,
    seen_from: Annotated[
        str | None,
        typer.Option(
            help="The version whose training decides which passages are seen; by default the measured one, and for "
            "the base the current one.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also show recall at 5, 20 and 100, success, and the share of unjudged passages."),
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure what a version finds: nDCG@10, MRR@10 and recall@10 with 95 % intervals.

    Four rankings are measured: BM25, the encoder alone (dense), both by their ranks alone (reciprocal rank fusion, for
    comparison), and both fused by the version's weight, which is what is served. If retrieval.reranker is set, the
    reranked ranking is measured too. Every passage of the library is a candidate, near-duplicates too. Questions whose right
    passage was a positive in training (seen) and the others (unseen) are shown separately: a version that only remembers is
    good on the first and bad on the second.

    [bold]Examples[/bold]

    nightjar eval retrieval --dataset datasets/scifact

    nightjar eval retrieval --dataset datasets/scifact --version 3f2a --json > scores.json

    nightjar eval retrieval --golden --all
    """

    with opened_app(context) as app:
        measured = app.registry.version(version) if version else app.current()
        questions = load_question_set(app, dataset, split, golden=golden)
        scores = _measured(app, questions, measured, _seen(app, measured, seen_from))
        reranked = _reranked(app, questions, measured)
    if as_json:
        told: dict[str, Any] = {"reranked": reranked[0].as_json() | {"n_cut": reranked[1]}} if reranked else {}
        told |= {"questions_sha256": questions.sha256, **_lost_json(questions)}
        print_json(scores.as_json(questions.name, questions.split, measured.encoder_id) | told)
    else:
        name = ", ".join(filter(None, (questions.name, questions.split)))
        _print(scores, f"{name}, version {measured.encoder_id[:12]}")
        if everything:
            _print_everything(scores)
        if reranked:
            _print_reranked(*reranked)


def _lost_json(questions: QuestionSet) -> dict[str, Any]:
    from eval.datasets.question_sets import lost_as_json

    return {"lost": lost_as_json(questions.lost)} if questions.lost else {}


def measure_retrieval(
    app: App, dataset: BeirDataset, split: str, version: Version, seen: frozenset[str]
) -> RetrievalScores:
    """Measures a version on a split of a data set that is in the library."""
    from eval.datasets.question_sets import questions_from_beir

    return _measured(app, questions_from_beir(dataset, split, app.library), version, seen)


def _measured(app: App, questions: QuestionSet, version: Version, seen: frozenset[str]) -> RetrievalScores:
    from eval.retrieval.evaluate import evaluate_retrieval
    from eval.statistics.ranking_metrics import ALL_MEASURES
    from rag.errors import BusyError

    qrels = questions.judged()
    encoder = app.open_encoder(version.encoder_id)
    vectors = app.vectors(version.passage_side)
    encode_missing(vectors, encoder)
    passage_ids, matrix = vectors.matrix()
    lexical = app.lexical()
    if passage_ids != lexical.passage_ids:
        raise BusyError("the library changed while it was read: run this again")
    with progress_bar("asking", len(qrels), "questions") as advance:
        return evaluate_retrieval(
            questions.texts,
            qrels,
            encode_queries=encoder.encode_queries,
            passage_ids=passage_ids,
            passage_vectors=matrix,
            lexical=lexical,
            weight=version.lexical_weight,
            seen=seen,
            candidates=app.settings.retrieval.candidates,
            measures=ALL_MEASURES,
            groups=questions.origins,
            progress=advance,
        )


def _reranked(app: App, questions: QuestionSet, version: Version) -> tuple[RerankingComparison, int] | None:
    """Measures the settings' reranker on the hits served, within its time, and counts how often that was too short."""
    from eval.retrieval.reranking import compare_reranking, rerank_served

    qrels = questions.judged()
    if app.reranker is None or len(qrels) < 2:
        return None
    retriever = app.retriever_for(version.encoder_id, distinct=False)
    with progress_bar("reading", len(qrels), "questions") as advance:
        asked = {query_id: questions.texts[query_id] for query_id in qrels}
        read = rerank_served(asked, retriever.search, app.reranker, advance)
    return compare_reranking(read, qrels, app.reranker.weight), read.n_cut


def _print_reranked(worth: RerankingComparison, n_cut: int) -> None:
    told = worth.as_json()
    means = ", ".join(f"{name} {_plain(value)}" for name, value in told["reranked"].items())
    low, high = told["interval"]
    typer.echo(
        f"reranked: {means}; nDCG@10 {told['difference']:+.3f} ({low:+.3f} to {high:+.3f}), "
        f"{worth.ms:.0f} ms a question"
    )
    if n_cut:
        typer.echo(
            f"The reranker ran out of time for {n_cut:,} of {told['n_questions']:,} questions: see retrieval.rerank_s."
        )


def _seen(app: App, version: Version, seen_from: str | None) -> frozenset[str]:
    """Returns the passages that were positives in training; none if nothing was ever trained."""
    if seen_from:
        return app.registry.training_positives(seen_from)
    return app.registry.training_positives(version.encoder_id) or app.registry.training_positives(
        app.current().encoder_id
    )


def _print(scores: RetrievalScores, title: str) -> None:
    rows = []
    for name, mask in scores.slices().items():
        if not mask.any() or (name != "all" and mask.all()):
            continue  # an empty slice, or the same questions again
        means, intervals = scores.means(name), scores.intervals(name)
        for side, label in RANKING_LABELS.items():
            of_slice = f"{SLICE_LABELS.get(name, name)} ({mask.sum():,})" if side == "lexical" else ""
            cells = [format_mean(means[side][measure], intervals[side][measure]) for measure in intervals[side]]
            rows.append([of_slice, label, *cells])
    print_table(["", "", "nDCG@10", "MRR@10", "recall@10"], rows, title)


def _print_everything(scores: RetrievalScores) -> None:
    means = scores.means()
    rows = [[name, *(_plain(means[side][name] or 0.0) for side in RANKING_LABELS)] for name in scores.measures]
    print_table(["all questions", *RANKING_LABELS.values()], rows)


def format_mean(mean: float | None, interval: list[float] | None) -> str:
    """Formats a mean and its interval without leading zeros.

    >>> format_mean(0.61234, [0.58, 0.64])
    '.612 (.580 to .640)'
    """
    if mean is None:
        return "–"
    return _plain(mean) + (f" ({_plain(interval[0])} to {_plain(interval[1])})" if interval else "")


def _plain(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
