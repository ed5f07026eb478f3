"""`nightjar eval answers`: are the answers right, do their citations hold, and why does a question fail?"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, print_table, progress_bar
from ui.commands.evaluation.judge import answers_to_judge, judge_answers, print_judgment
from ui.commands.evaluation.options import (
    DATASET_OPTION,
    GOLDEN_OPTION,
    SPLIT_OPTION,
    VERSION_OPTION,
    load_question_set,
)

if TYPE_CHECKING:
    from eval.answers.answer_scores import AnswerScores
    from eval.answers.ask_questions import LeaveOutRetriever
    from eval.answers.llm_judge import JudgeResult
    from eval.datasets.question_sets import EvalQuestion, QuestionSet
    from rag.app.app import App
    from rag.records import Citation
    from rag.versions.registry import Version

MEASURE_LABELS = {
    "exact_match": "exact match",
    "first_exact_match": "  of what stands first",
    "token_f1": "token F1",
    "first_token_f1": "  of what stands first",
    "content_f1": "content-word F1",
    "first_content_f1": "  of what stands first",
    "contains_answer": "answer held",
    "first_contains_answer": "  by what stands first",
    "content_recall": "content-word recall",
    "nuggets_vital": "vital nuggets held",
    "nuggets_okay": "other nuggets held",
    "words": "words",
    "k_precision": "K-precision",
    "facts_supported": "numbers, dates and names supported",
    "citation_recall": "citation recall",
    "citation_precision": "citation precision",
    "citations_valid": "marks that name a passage",
    "spans_exact": "spans equal to the stored text",
    "right_cited_precision": "cited passages that are right",
    "right_cited_recall": "right passages that are cited",
}


def answers(
    context: typer.Context,
    *,
    dataset: DATASET_OPTION = None,
    golden: GOLDEN_OPTION = False,
    split: SPLIT_OPTION = "test",
    version: VERSION_OPTION = None,
    questions: Annotated[int, typer.Option(min=1, help="How many questions at most, drawn by the seed.")] = 300,
    without: Annotated[
        bool | None,
        typer.Option(
            help="Ask each question once more without its right passages; by default only for a data set.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other questions.")] = 13,
    why: Annotated[
        bool, typer.Option("--why", help="List the questions that fail, each with its first cause.")
    ] = False,
    judge: Annotated[
        bool, typer.Option("--judge", help="Let judge.model grade the answers, three times each.")
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Write every question with its answer to this file, one JSON object a line.", show_default=False
        ),
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            help="Rows of an earlier run: shows which questions were fixed and which broken.", show_default=False
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the risk–coverage curve to this file (SVG).", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure the answers: right, supported, cited, declined when they should be, and why they fail.

    Questions are asked as people ask them, with the current settings, and nothing is stored. A question whose answering
    fails counts as wrong; if more than one in twenty fails, the figures are not valid.

    [bold]Examples[/bold]

    nightjar eval answers --golden --why

    nightjar eval answers --dataset datasets/nq-open --questions 60 --rows answers.jsonl
    """
    from eval.answers.answer_scores import score_answers
    from eval.answers.failure_attribution import cause_changes, read_attributed

    earlier = read_attributed(before) if before else []
    with opened_app(context) as app:
        measured = app.registry.version(version) if version else app.current()
        asked = load_question_set(app, dataset, split, golden=golden)
        drawn = draw_sample(asked, questions, seed)
        scores = score_answers(_rows(app, measured, drawn, without=(not golden) if without is None else without))
        judged = judge_answers(app, answers_to_judge(app, scores.rows)) if judge else None
    moved = cause_changes(earlier, scores.attributed()) if before else None
    if rows:
        rows.write_text("".join(_lines(scores, judged)), "utf-8")
    if plot:
        plot.write_text(_curve(scores, asked.name), "utf-8")
    told = _about(asked, measured, app, len(drawn)) | scores.as_json()
    told |= ({"judge": judged.as_json()} if judged else {}) | ({"transitions": moved.as_json()} if moved else {})
    if as_json:
        print_json(told)
    else:
        _print(scores, told, why=why)


def draw_sample(asked: QuestionSet, n: int, seed: int) -> list[EvalQuestion]:
    """Draws up to *n* of the questions, and keeps their order."""
    places = range(len(asked.questions))
    chosen = random.Random(seed).sample(places, min(n, len(places)))  # noqa: S311 (which questions are asked is no secret)
    return [asked.questions[index] for index in sorted(chosen)]


def _rows(app: App, version: Version, drawn: Sequence[EvalQuestion], *, without: bool) -> list[Any]:
    from eval.answers.ask_questions import NullFeedback, ask_questions
    from eval.answers.measure_answer import measure_answer
    from rag.generation.abstention import load_threshold
    from rag.generation.generator import generator_of
    from rag.splitting.token_offsets import PassageTokenizer

    feedback, generator = NullFeedback(app.engine), generator_of(app.chat_model)
    stored, tokens = _stored(app), PassageTokenizer(version.folder)
    with progress_bar("answering", len(drawn), "questions") as advance:
        return [
            measure_answer(answer, stored, lambda text: len(tokens.starts([text])[0]))
            for answer in ask_questions(
                drawn,
                leave_out_retrievers(app, version),
                lambda retriever: app.answerer_with(lambda: retriever, generator, feedback),
                load_threshold(app.settings.data, version.encoder_id),
                leave_out_too=without,
                progress=advance,
            )
        ]


def leave_out_retrievers(app: App, version: Version) -> LeaveOutRetriever:
    """Returns a function from left-out passages to a retriever over the others, as the settings serve it, with exact search."""
    from eval.answers.ask_questions import PerQuestionCachedEncoder
    from eval.retrieval.leave_out import LeaveOutDense, LeaveOutLexical
    from rag.index.exact_search import ExactIndex
    from rag.retrieval.retriever import Retriever
    from ui.commands.evaluation.options import encode_missing

    encoder, vectors, lexical = app.open_encoder(version.encoder_id), app.vectors(version.passage_side), app.lexical()
    encode_missing(vectors, encoder)
    encoder.encode_queries(["warm"])  # loads the weights now, not within the first question's time
    remembering, exact, chosen = PerQuestionCachedEncoder(encoder), ExactIndex(vectors), app.settings.retrieval

    def without(left_out: frozenset[str]) -> Retriever:
        dense, words = (
            (LeaveOutDense(exact, left_out), LeaveOutLexical(lexical, left_out)) if left_out else (exact, lexical)
        )
        return Retriever(
            remembering,
            dense,
            words,
            app.library,
            vectors,
            lexical_weight=version.lexical_weight,
            candidates=chosen.candidates,
            reranker=app.reranker,
            collapse_duplicates=chosen.distinct,
        )

    return without


def _stored(app: App) -> Any:
    def stored(citation: Citation) -> str:
        passage = app.library.get([citation.passage_id])[citation.passage_id]
        return app.library.document(passage.document_id).text[citation.start : citation.end]

    return stored


def _about(asked: QuestionSet, version: Version, app: App, n: int) -> dict[str, Any]:
    """Returns what can change a figure: the questions, the version, the generator, the support test."""
    from eval.answers.citation_metrics import SPAN_SUPPORT
    from eval.datasets.question_sets import lost_as_json

    return {
        "dataset": asked.name,
        "split": asked.split,
        "questions_sha256": asked.sha256,
        "n_drawn": n,
        "version": version.encoder_id,
        "generator": app.settings.generator.model,
        "support_test": SPAN_SUPPORT,
        "lost": lost_as_json(asked.lost),
    }


def _curve(scores: AnswerScores, name: str) -> str:
    from eval.report.output.svg_plots import RiskCurve, risk_plot

    return risk_plot([RiskCurve("answers", *scores.risk_coverage())], f"{name}: wrong answers by share answered")  # type: ignore[arg-type]  # arrays are sequences here


def _print(scores: AnswerScores, told: dict[str, Any], *, why: bool) -> None:
    means, table, risk, cost = (told[name] for name in ("measures", "declining", "risk", "cost"))
    rows = [["answered right", _cell(told["right"]["share"]), f"{told['right']['n']:,}"]]
    rows += [
        [label, _cell(means[name]["mean"]), f"{means[name]['n']:,}"]
        for name, label in MEASURE_LABELS.items()
        if name in means
    ]
    rows += [["area under risk and coverage (AURC)", _cell(risk["aurc"]), f"{told['n_questions']:,}"]]
    title = f"{told['dataset']}, version {told['version'][:12]}, {told['generator']}"
    print_table(["", "mean", "questions"], rows, title)
    cells = [
        [name, *(f"{table[name][key]:,}" for key in ("answered", "declined"))]
        for name in ("answerable", "unanswerable")
    ]
    print_table(["the documents", "answered", "declined"], cells)
    typer.echo(
        f"median {cost['p50_ms']:,.0f} ms, 95th percentile {cost['p95_ms']:,.0f} ms; tokens read "
        f"{cost['tokens_read']:,.0f}, written {cost['tokens_written']:,.0f} a question"
    )
    for name, of_origin in told["origins"].items():
        typer.echo(f"origin {name} ({of_origin['n_questions']:,}): answered right {_cell(of_origin['right']['share'])}")
    if told["n_errors"]:
        valid = "" if told["is_valid"] else "; no figure here is valid"
        typer.echo(f"{told['n_errors']:,} of {told['n_questions']:,} failed and count as wrong{valid}")
    if "judge" in told:
        print_judgment(told["judge"])
    if "transitions" in told:
        _print_transitions(told["transitions"])
    if why:
        _print_why(scores, told)


def _print_transitions(moved: dict[str, Any]) -> None:
    typer.echo(f"{moved['n_fixed']:,} fixed, {moved['n_broken']:,} broken, {moved['n_same']:,} the same")
    columns = list(next(iter(moved["table"].values()), {}))
    rows = [[cause, *(f"{n:,}" if n else "" for n in after.values())] for cause, after in moved["table"].items()]
    print_table(["before \\ now", *columns], rows)
    for name in ("broken", "fixed"):
        for query_id in moved[name]:
            typer.echo(f"{name}: {query_id['question']} ({query_id['before']} → {query_id['after']})")


def _lines(scores: AnswerScores, judged: JudgeResult | None) -> Iterator[str]:
    """Yields a line for every question: its answer, its measures, and its cause."""
    grades = {item.item_id: item.mean for item in judged.judged} if judged else {}
    for row, question in zip(scores.rows, scores.attributed(), strict=True):
        grade = {"judge": grades.get(row.query_id)} if judged else {}
        yield json.dumps(row.as_json() | {"cause": question.cause} | grade, ensure_ascii=False) + "\n"


def _print_why(scores: AnswerScores, told: dict[str, Any]) -> None:
    from eval.answers.failure_attribution import worst_failures

    print_table(["first cause", "questions"], [[cause, f"{n:,}"] for cause, n in told["causes"].items() if n])
    failed = worst_failures(scores.attributed(), len(scores.rows))
    rows = [[failure.cause, failure.question, str(failure.rank or "–"), failure.query_id] for failure in failed]
    print_table(["why", "question", "rank", "id"], rows)


def _cell(value: float) -> str:
    return f"{value:.3f}" if value <= 1 else f"{value:.1f}"
