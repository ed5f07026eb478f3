"""`nightjar eval`: the group of commands that measure a version."""

from __future__ import annotations

import typer

from ui.commands.evaluation.answers import answers
from ui.commands.evaluation.judge import judge
from ui.commands.evaluation.report import report
from ui.commands.evaluation.retrieval import retrieval
from ui.commands.evaluation.robustness import robustness


def register(app: typer.Typer) -> None:
    """Adds these commands."""
    group = typer.Typer(help="Measure a version on questions whose right passages are known.", no_args_is_help=True)
    group.command()(retrieval)
    group.command()(report)
    group.command()(answers)
    group.command()(robustness)
    group.command()(judge)
    app.add_typer(group, name="eval")
