"""`nightjar`, run inside the test's process, where an error that the command line would tell in a line is raised."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from ui.commands import cross_encoder, ingesting, measuring, mining, simulating


def nightjar(data: Path, *words: str) -> Result:
    """What a command that brings in, mines, trains a cross-encoder, simulates or measures says of a state directory."""
    app = typer.Typer()
    for group in (ingesting, mining, cross_encoder, simulating, measuring):
        group.register(app)
    result = CliRunner().invoke(app, list(words), obj={"data": data, "config": None})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
