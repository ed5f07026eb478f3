"""`nightjar reviews`: negatives that are in doubt, and people's decisions on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, print_table

if TYPE_CHECKING:
    from rag.app.app import App


def reviews(
    context: typer.Context,
    *,
    decide: Annotated[
        tuple[str, str, str] | None,
        typer.Option(
            help="A question, a passage, and negative, not_negative or skip.",
            metavar="QUESTION PASSAGE DECISION",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many to list.", min=1)] = 20,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List negatives that are in doubt, or decide on one; the next night follows it.

    It lists passages that only one person rejected, on which people disagree, or of which the denoising rules are
    unsure.

    [bold]Examples[/bold]

    nightjar reviews

    nightjar reviews --decide "How do I reset it?" 5f0c1d2e not_negative
    """
    from retriever_training.judgments.reviews import ReviewStore
    from ui.auth.current_user import LOCAL_USER
    from ui.serializers.training import review_json
    from ui.texts.reasons import describe_doubt

    with opened_app(context) as app:
        if decide is not None:
            question, passage_id, decision = decide
            passage_id = app.library.resolve([passage_id]).get(passage_id, passage_id)
            decided = review_json(ReviewStore(app.engine).decide(question, passage_id, decision, LOCAL_USER))
            print_json(decided) if as_json else typer.echo(f"kept: {decision}")
            return
        doubts = _listed(app, n)
    if as_json:
        print_json({"doubts": doubts})
    elif not doubts:
        typer.echo("Nothing is in doubt.")
    else:
        rows = [
            [doubt["question"], doubt["passage"]["passage_id"], doubt["kind"], describe_doubt(doubt["why"])]
            for doubt in doubts
        ]
        print_table(["question", "passage", "kind", "why"], rows)


def _listed(app: App, n: int) -> list[dict[str, Any]]:
    from retriever_training.inspection.doubtful_negatives import find_doubtful_negatives
    from ui.background.night_plan import build_night_plan
    from ui.serializers.training import doubtful_negative_json

    doubts = find_doubtful_negatives(app.stores, build_night_plan(app.settings), n)
    passages = app.library.get([name for doubt in doubts for name in (doubt.passage_id, *doubt.right)])
    return [doubtful_negative_json(doubt, passages) for doubt in doubts]
