"""`nightjar gaps`: questions that found nothing, grouped by what they ask."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.commands.console import JSON_OPTION, escape_unprintable, opened_app, print_json, print_table

N_EXAMPLE_QUESTIONS = 3  # how many questions of a gap the table shows


def gaps(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="How many at most, the largest first.")
    ] = 20,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show questions that the documents did not answer, grouped by what they ask.

    These are questions that were declined, marked as not in the documents, or answered from a wrong source while nobody
    named the right one. Questions that ask for nearly the same are grouped, with the closest passage. Names of people are
    not shown. A document that answers a question closes its gap once somebody asks again.

    [bold]Examples[/bold]

    nightjar gaps

    nightjar gaps -n 100 --json
    """
    from ui.actions.list_gaps import list_gaps
    from ui.auth.current_user import LOCAL_ADMINISTRATOR
    from ui.serializers.answers import gap_json

    with opened_app(context) as app:
        gap_list = list_gaps(app, LOCAL_ADMINISTRATOR, limit)
    if as_json:
        print_json([gap_json(*gap) for gap in gap_list])
        return
    if not gap_list:
        typer.echo("Every question has an answer.")
        return
    rows = [
        [
            escape_unprintable(gap.name),
            str(gap.n_asked),
            str(gap.n_people),
            gap.last_at[:10],
            "\n".join(escape_unprintable(question) for question in gap.questions[:N_EXAMPLE_QUESTIONS]),
            f"{escape_unprintable(closest.source)} ({gap.cosine:.2f})" if closest else "",
        ]
        for gap, closest in gap_list
    ]
    print_table(["about", "asked", "people", "last (UTC)", "questions", "closest"], rows)
