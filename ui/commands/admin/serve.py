"""`nightjar serve`: runs the application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import load_command_settings, progress_bar

if TYPE_CHECKING:
    from rag.app.app import App


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="7860")] = None,
    schedule: Annotated[
        bool, typer.Option("--schedule/--no-schedule", help="Run the night at schedule.at (02:00).")
    ] = True,
    sample: Annotated[
        Path | None, typer.Option(help="Documents to begin with if the library is empty.", show_default=False)
    ] = None,
    accounts: Annotated[
        bool | None,
        typer.Option(
            "--accounts/--no-accounts",
            help="Whether people must sign in; by default they must if other machines can reach the address.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Open the web page and the REST interface, and run the night by schedule.

    Only one application can serve a state directory; a second one ends with exit code 75. Ctrl-C ends it.

    [bold]Examples[/bold]

    nightjar serve

    nightjar serve --port 8000 --no-schedule

    nightjar serve --host 0.0.0.0
    """
    from ui.server.serve import serve as serve_until_stopped

    flags: dict[str, Any] = {
        "server": {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    }
    if not schedule:
        flags["schedule"] = {"enabled": False}
    if accounts is not None:
        flags["accounts"] = {"required": "always" if accounts else "never"}
    serve_until_stopped(
        load_command_settings(context, **{name: section for name, section in flags.items() if section}),
        config=context.obj["config"],
        prepare_app=lambda app: _fill(app, sample),
        announce=lambda address: typer.echo(f"Nightjar answers at {address} (Ctrl-C ends it)"),
    )


def _fill(app: App, sample: Path | None) -> None:
    """Ingests the sample if the library is empty, and encodes passages without vectors."""
    if sample is not None and app.library.n_passages() == 0:
        from rag.ingestion.find_files import find_files
        from rag.ingestion.ingest import ingest_files

        found = find_files(sorted(path for path in sample.iterdir() if path.is_file()) if sample.is_dir() else [sample])
        with progress_bar("reading the sample", len(found.files), "files") as advance:
            ingest_files(app.library, found, splitting=app.splitting_rules(), on_file_done=advance, limits=app.limits)
    n_missing = app.n_missing_vectors()
    if n_missing:
        with progress_bar("encoding", n_missing) as advance:
            app.encode_missing(advance)
