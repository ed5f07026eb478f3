"""`nightjar`: every command of the loop. Modules are imported when a command runs, so `--help` is quick."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.errors import NightjarError
from rag.state_files import write_private_files
from ui.commands import ask as answers
from ui.commands import demo, insights
from ui.commands.admin import accounts, feedback
from ui.commands.admin import config as configuring
from ui.commands.admin import mcp as agents
from ui.commands.admin import serve as operations
from ui.commands.admin import voters as people
from ui.commands.bench import group as bench
from ui.commands.documents import gaps, jobs
from ui.commands.documents import ingest as ingesting
from ui.commands.documents import sources as library
from ui.commands.evaluation import golden
from ui.commands.evaluation import group as evaluation
from ui.commands.training import calibrate, cold_start, cross_encoder, reviews
from ui.commands.training import negatives as mining
from ui.commands.training import nightly as learning
from ui.commands.training import simulate as simulating

HELP = """Chat with your documents; say which passages helped; tomorrow the right one comes first.

[bold]Start[/bold]: nightjar ingest my-documents/ · nightjar serve
[bold]The loop[/bold]: ask → vote → nightly → (better?) promoted → ask again
"""


STATE_KEEPERS = frozenset({"serve", "ingest", "nightly"})
"""Commands that write files into the state directory, and none that the user names elsewhere."""


class _Commands(typer.core.TyperGroup):
    """Turns every error we foresaw into one line on stderr and its exit code."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except NightjarError as error:
            typer.echo(f"nightjar: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError:
            # The reader has what it wanted (`nightjar sources | head`); Python must not complain at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


app = typer.Typer(
    name="nightjar", help=HELP, cls=_Commands, no_args_is_help=True, rich_markup_mode="rich", add_completion=False
)


@app.callback()
def main(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="State directory (NIGHTJAR_DATA, else ./nightjar-data).", show_default=False)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (NIGHTJAR_CONFIG, else ./nightjar.toml).", show_default=False)
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")] = False,
) -> None:
    """Remembers if the state is; the commands open what they need."""
    os.environ["LANGSMITH_TRACING"] = "false"  # set by a user for another program, it would send questions away
    if context.invoked_subcommand in STATE_KEEPERS:
        write_private_files()
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    context.obj = {"data": data, "config": config}


for group in (
    ingesting,
    library,
    jobs,
    gaps,
    answers,
    feedback,
    golden,
    insights,
    learning,
    mining,
    cross_encoder,
    evaluation,
    simulating,
    people,
    accounts,
    reviews,
    operations,
    agents,
    configuring,
    demo,
    bench,
    calibrate,
    cold_start,
):
    group.register(app)
