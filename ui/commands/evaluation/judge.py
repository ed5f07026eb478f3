"""`nightjar eval judge`: lets a language model grade answers that people voted on, and measures how far it agrees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, progress_bar

if TYPE_CHECKING:
    from eval.answers.llm_judge import AnswerToJudge, JudgeResult
    from eval.answers.measure_answer import AnswerRow
    from rag.app.app import App


def judge(
    context: typer.Context,
    *,
    answers: Annotated[
        int, typer.Option("-n", "--answers", min=1, help="How many of the latest answers with votes.")
    ] = 100,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Have judge.model grade the answers that people voted on, three times each, and show how far it agrees with them.

    From 50 answers on, agreement is shown as Cohen's kappa. Do not trust a judge that does not agree with your people.
    """
    from eval.answers.llm_judge import agreement_with_people, answer_votes
    from rag.errors import TooLittleDataError

    with opened_app(context) as app:
        votes = answer_votes(app.feedback.standing())
        if not votes:
            raise TooLittleDataError("nobody has voted on an answer yet: a judge can't be compared with people")
        chosen = list(votes)[-answers:]
        judging = judge_answers(app, [_voted(app, turn_id) for turn_id in chosen])
    agreed = agreement_with_people(judging, votes)
    if as_json:
        print_json(judging.as_json() | {"agreement": agreed.as_json()})
        return
    print_judgment(judging.as_json())
    if agreed.kappa is None:
        typer.echo(f"agreement with people: {agreed.n} answers, shown from {agreed.as_json()['n_needed']} answers on")
    else:
        typer.echo(
            f"agreement with people: kappa {agreed.kappa:.2f}, the same grade for {agreed.same:.0%} of {agreed.n} answers"
        )


def judge_answers(app: App, items: Sequence[AnswerToJudge]) -> JudgeResult:
    """Returns the grades of these answers by the judge that the settings name.

    Raises:
        UsageError: the settings name no judge.
    """
    from eval.answers.llm_judge import judge_model_call
    from eval.answers.llm_judge import run_judge as judge_all
    from rag.errors import UsageError
    from rag.generation.chat.streaming import Timeouts

    model = app.judge_model
    if model is None:
        raise UsageError("judge.model is not set: name the language model that is to judge, as in openai:NAME")
    patience = Timeouts(app.settings.judge.timeout_s, app.settings.judge.timeout_s)
    with progress_bar("judging", len(items), "answers") as advance:
        return judge_all(items, judge_model_call(model, patience), model.name, advance)


def answers_to_judge(app: App, rows: Iterable[AnswerRow]) -> list[AnswerToJudge]:
    """Returns the answers to answerable questions that were not declined, with the passages that they used."""
    from eval.answers.faithfulness import without_citation_marks
    from eval.answers.llm_judge import AnswerToJudge

    given = [row for row in rows if row.is_answerable and not row.declined and not row.error]
    return [
        AnswerToJudge(
            item_id=row.query_id,
            question=row.question,
            answer=without_citation_marks(row.text),
            known=row.answers,
            passages=_texts(app, row.cited or row.read),
        )
        for row in given
    ]


def print_judgment(judging: Mapping[str, object]) -> None:
    """Prints the judge's figures in a sentence."""
    n, failed = judging["n_answers"], judging["n_failed"]
    if judging["is_valid"]:
        typer.echo(
            f"judge {judging['model']}: {judging['mean']:.3f} on {n:,} answers, ± {judging['spread']:.3f} between "
            f"{judging['repeats']} repeats; {judging['n_unstable']:,} answers got more than one grade"
        )
    else:
        typer.echo(f"judge {judging['model']}: no valid figure, {failed:,} of its replies failed: {judging['errors']}")


def _voted(app: App, turn_id: str) -> AnswerToJudge:
    from eval.answers.faithfulness import without_citation_marks
    from eval.answers.llm_judge import AnswerToJudge

    turn = app.feedback.turn(turn_id)
    cited = [shown_hit.passage_id for shown_hit in turn.shown if shown_hit.cited]
    return AnswerToJudge(
        item_id=turn_id,
        question=turn.question,
        answer=without_citation_marks(turn.answer),
        known=(),
        passages=_texts(app, cited or [shown_hit.passage_id for shown_hit in turn.shown]),
    )


def _texts(app: App, passage_ids: Sequence[str]) -> tuple[str, ...]:
    found = app.library.get(list(passage_ids))
    return tuple(found[passage_id].encoded_text for passage_id in passage_ids if passage_id in found)
