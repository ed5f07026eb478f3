"""`nightjar eval robustness`: how noise, order, false passages and paraphrases change the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, print_table, progress_bar
from ui.commands.evaluation.answers import draw_sample, leave_out_retrievers
from ui.commands.evaluation.options import DATASET_OPTION, GOLDEN_OPTION, SPLIT_OPTION, load_question_set

if TYPE_CHECKING:
    from eval.answers.perturbations import PerturbationCase
    from eval.answers.robustness import RobustnessResult
    from eval.datasets.question_sets import EvalQuestion
    from rag.app.app import App
    from rag.versions.registry import Version

N_SEARCHED = 30  # wrong passages are chosen among this many hits


def robustness(
    context: typer.Context,
    *,
    dataset: DATASET_OPTION = None,
    golden: GOLDEN_OPTION = False,
    split: SPLIT_OPTION = "test",
    questions: Annotated[int, typer.Option(min=1, help="How many questions at most, drawn by the seed.")] = 60,
    k: Annotated[int, typer.Option("-k", min=2, max=20, help="How many passages an answer is made from.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed draws other questions and orders.")] = 13,
    plot: Annotated[Path | None, typer.Option(help="Write the curves to this file (SVG).", show_default=False)] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure answers from passages that are noisy, reordered or false, and to paraphrased questions.

    The passages are given and nothing is searched: this tests what writes the answers. It uses questions whose known
    answer is in their right passage. Wrong passages are the closest ones that do not hold the answer.

    [bold]Example[/bold]

    nightjar eval robustness --dataset datasets/nq-open --plot robustness.svg
    """
    from eval.answers.robustness import measure_robustness as measure

    with opened_app(context) as app:
        asked = load_question_set(app, dataset, split, golden=golden)
        version = app.current()
        drawn = draw_sample(asked, questions, seed)
        cases, answer = _cases(app, version, drawn, k), fixed_passage_answerer(app, version)
        with progress_bar("answering", len(cases), "questions") as advance:
            found = measure(cases, answer, k=k, seed=seed, progress=advance)
    if plot:
        from eval.report.output.robustness_plot import robustness_plot

        plot.write_text(robustness_plot(found, f"{asked.name}: answers that contain the known answer"), "utf-8")
    if as_json:
        about = {
            "dataset": asked.name,
            "split": asked.split,
            "questions_sha256": asked.sha256,
            "seed": seed,
            "version": version.encoder_id,
            "generator": app.settings.generator.model,
            "n_drawn": len(drawn),
        }
        print_json(about | found.as_json())
    else:
        _print(found, f"{asked.name}, {found.n_questions} of {len(drawn)} questions, {k} passages")


def _cases(app: App, version: Version, drawn: Sequence[EvalQuestion], k: int) -> list[PerturbationCase]:
    """Returns the questions that can be tested.

    Raises:
        TooLittleDataError: no question can.
    """
    from eval.answers.perturbations import usable_cases
    from rag.errors import TooLittleDataError

    cases = usable_cases(_found(app, version, drawn), k)
    if not cases:
        raise TooLittleDataError(
            "no question has a known answer that is in its right passage: choose a set with known answers"
        )
    return cases


def _found(app: App, version: Version, drawn: Sequence[EvalQuestion]) -> Iterator[PerturbationCase]:
    from eval.answers.answer_metrics import contains_any_answer
    from eval.answers.perturbations import PerturbationCase

    retriever = leave_out_retrievers(app, version)(frozenset())
    for question in drawn:
        known = app.library.get(sorted(question.right)).values()
        right = tuple(passage for passage in known if contains_any_answer(passage.text, question.answers))
        closest = (hit.passage for hit in retriever.search(question.text, N_SEARCHED))
        wrong = tuple(
            passage
            for passage in closest
            if passage.passage_id not in question.right
            and not contains_any_answer(passage.encoded_text, question.answers)
        )
        yield PerturbationCase(
            query_id=question.query_id, question=question.text, answers=question.answers, right=right, wrong=wrong
        )


def fixed_passage_answerer(app: App, version: Version) -> Any:
    from eval.answers.ask_questions import PerQuestionCachedEncoder
    from eval.answers.fixed_passages import FixedPassageAnswerer
    from rag.generation.abstention import load_threshold
    from rag.generation.generator import generator_of

    encoder = PerQuestionCachedEncoder(app.open_encoder(version.encoder_id))
    bar = load_threshold(app.settings.data, version.encoder_id)
    return FixedPassageAnswerer(generator_of(app.chat_model), encoder, app.lexical(), version.lexical_weight, bar)


def _print(found: RobustnessResult, title: str) -> None:
    rows = [
        [f"{share:.0%} of the passages wrong", _cell(point.right), _cell(point.declined)]
        for share, point in found.noise.items()
    ]
    rows += [
        [f"the right one on rank {rank}", _cell(point.right), _cell(point.declined)]
        for rank, point in found.position.items()
    ]
    print_table(["", "answered right", "declined"], rows, title)
    false, reworded = found.counterfactual, found.paraphrases
    typer.echo(
        f"false passage alone ({false.n}): the answer follows it {_cell(false.follows)}, keeps to what is true "
        f"{_cell(false.keeps)}"
    )
    typer.echo(
        f"next to the true one: both are given {_cell(false.told)}, the false one alone {_cell(false.only_false)}"
    )
    typer.echo(
        f"in other words ({reworded.n}): as right or wrong as before {_cell(reworded.consistent)}, right "
        f"{_cell(reworded.right)} instead of {_cell(reworded.right_as_asked)}"
    )
    if n_errors := sum(point.n_errors for point in (*found.noise.values(), *found.position.values())):
        typer.echo(f"{n_errors:,} answers failed and count as wrong")


def _cell(value: float) -> str:
    return f"{value:.3f}"
