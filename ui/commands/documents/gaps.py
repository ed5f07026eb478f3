"""`nightjar gaps`: questions that found nothing, gathered by what they ask."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.commands.console import JSON_OPTION, escape_unprintable, opened_app, print_json, print_table

N_EXAMPLE_QUESTIONS = 3  # questions of a gap in the table


def gaps(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="At most so many, the largest first.")
    ] = 20,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show what people asked for in vain.

    Questions that were declined, called not in the documents, or answered from a wrong source without a word on the
    right one. Those that ask for nearly the same are together, with the passage that comes closest. Names of people
    are not shown. A document that answers a question closes its gap once somebody asks again.

    [bold]Examples[/bold]

    nightjar gaps

    nightjar gaps -n 100 --json
    """
    from ui.actions.list_gaps import list_gaps
    from ui.auth.current_user import LOCAL_ADMINISTRATOR
    from ui.serializers.answers import gap_json

    with opened_app(context) as app:
        found = list_gaps(app, LOCAL_ADMINISTRATOR, limit)
    if as_json:
        print_json([gap_json(*gap) for gap in found])
        return
    if not found:
        typer.echo("No question is without an answer.")
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
        for gap, closest in found
    ]
    print_table(["about", "asked", "people", "last (UTC)", "questions", "closest"], rows)
