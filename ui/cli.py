"""`nightjar`: all commands. What they need is imported when one runs, so that `--help` is quick."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.errors import NightjarError
from rag.state_files import write_private_files
from ui.commands.admin.accounts import accounts_group, tokens_group
from ui.commands.admin.config import config_group
from ui.commands.admin.feedback import feedback_group
from ui.commands.admin.mcp import mcp
from ui.commands.admin.serve import serve
from ui.commands.admin.voters import forget_person, people
from ui.commands.ask import ask, search
from ui.commands.bench.group import bench_group
from ui.commands.command_group import Command, add_panels, names_in_order
from ui.commands.demo import demo
from ui.commands.documents.gaps import gaps
from ui.commands.documents.ingest import ingest
from ui.commands.documents.jobs import jobs
from ui.commands.documents.sources import remove, sources
from ui.commands.evaluation.golden import golden_group
from ui.commands.evaluation.group import eval_group
from ui.commands.insights import insights, votes
from ui.commands.training.calibrate import calibrate
from ui.commands.training.cold_start import cold_start
from ui.commands.training.cross_encoder import cross_encoder_group
from ui.commands.training.negatives import convert_dpr, mine, negatives
from ui.commands.training.nightly import compare, nightly, promote, rollback, versions
from ui.commands.training.reviews import reviews
from ui.commands.training.simulate import simulate
from ui.version import nightjar_version

HELP = """Chat with your documents; say which passages helped; tomorrow the right one comes first.

[bold]Start[/bold]: nightjar ingest my-documents/ · nightjar serve
[bold]The loop[/bold]: ask → vote → nightly → (better?) promoted → ask again
"""


PANELS: dict[str, tuple[Command, ...]] = {
    "Start": (demo, serve),
    "Documents": (ingest, sources, remove, jobs),
    "Asking": (ask, search, mcp),
    "Votes and use": (votes, people, feedback_group, insights, gaps),
    "Training": (
        nightly,
        versions,
        promote,
        rollback,
        compare,
        reviews,
        negatives,
        mine,
        cold_start,
        calibrate,
        cross_encoder_group,
        simulate,
    ),
    "Evaluation": (golden_group, eval_group, bench_group, convert_dpr),
    "Administration": (accounts_group, tokens_group, config_group, forget_person),
}
"""Every command and group, in the panels and the order of `nightjar --help`: as a user comes to need them."""

STATE_KEEPERS = frozenset({"serve", "ingest", "nightly"})
"""Commands that write files only into the state directory, and so may make all their files private."""


class _Commands(typer.core.TyperGroup):
    """Lists the commands by panel, and turns every error that we foresaw into one line on stderr and its exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in names_in_order(PANELS) if name in self.commands]

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except NightjarError as error:
            typer.echo(f"nightjar: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError:
            # The reader has what it wants (`nightjar sources | head`); Python must not complain at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


app = typer.Typer(
    name="nightjar", help=HELP, cls=_Commands, no_args_is_help=True, rich_markup_mode="rich", add_completion=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nightjar {nightjar_version()}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="State directory (NIGHTJAR_DATA, else ./nightjar-data).", show_default=False)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (NIGHTJAR_CONFIG, else ./nightjar.toml).", show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")] = False,
) -> None:
    """Keeps the options that all commands share; each command opens what it needs."""
    os.environ["LANGSMITH_TRACING"] = "false"  # if a user sets it for another program, it would send questions away
    if context.invoked_subcommand in STATE_KEEPERS:
        write_private_files()
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    context.obj = {"data": data, "config": config}


add_panels(app, PANELS)
