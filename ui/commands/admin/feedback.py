"""`nightjar feedback import|export`: verdicts from and to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.commands.command_group import command_group
from ui.commands.console import (
    FROM_ARGUMENT,
    JSON_OPTION,
    TO_ARGUMENT,
    opened_app,
    print_json,
    write_lines,
)

feedback_group = command_group("feedback", "Import and export votes as JSON lines.")


@feedback_group.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, FROM_ARGUMENT],
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Import verdicts from a file: {"query", "passage_id", "verdict", "user", "time"?} a line.

    Passages are named by their id or, for a BEIR library, by their BEIR id. Verdicts: helpful, not_relevant,
    pin (this is the right passage), outdated. Importing a file twice changes nothing. Exit code 1 if a line
    could not be used; the others are imported.

        nightjar feedback import verdicts.jsonl
    """
    from rag.feedback.import_export import import_verdicts

    with opened_app(context) as app:
        report = import_verdicts(app.feedback, app.library, file)
    if as_json:
        print_json(
            {"n_read": report.n_read, "n_new": report.n_new, "unknown": report.unknown, "refused": report.refused}
        )
    else:
        typer.echo(f"{report.n_read} lines read, {report.n_new} verdicts new or changed")
        for passage_id in report.unknown:
            typer.echo(f"unknown passage: {passage_id}", err=True)
        for refusal in report.refused:
            typer.echo(refusal, err=True)
    if report.unknown or report.refused:
        raise typer.Exit(1)


@feedback_group.command()
def export(context: typer.Context, file: Annotated[Path, TO_ARGUMENT]) -> None:
    """Write every current verdict on a passage, one JSON object a line, as `import` reads it."""
    from rag.feedback.import_export import export_verdicts

    with opened_app(context) as app:
        write_lines(list(export_verdicts(app.feedback, app.library)), file, "verdicts")
