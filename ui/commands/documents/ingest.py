"""`nightjar ingest`: reads documents into the library and encodes their passages."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, progress_bar
from ui.commands.documents.ingest_summary import EncodingSummary, print_report, report_json

if TYPE_CHECKING:
    from rag.app.app import App
    from rag.ingestion.concurrent_encoding import EncodingReport
    from rag.ingestion.ingest import IngestReport


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.", show_default=False)] = None,
    beir: Annotated[
        Path | None, typer.Option(help="A BEIR folder: its corpus.jsonl, one passage a line.", show_default=False)
    ] = None,
    *,
    remove_vanished: Annotated[
        bool, typer.Option("--remove-vanished", help="Remove documents whose files are gone from the folders named.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Add documents to the library, and make them searchable.

    Reads text, Markdown, web pages, PDF, Office files, tables, e-mail, e-books and zip archives of them; folders with
    everything below them. Run it again whenever something has changed: unchanged files cost nothing, changed ones
    replace only the passages that changed. A file that can't be read is listed with its reason, the others are added, and
    the exit code is 1. Documents whose file is gone from a folder are listed, and removed only if you say so.
    "nightjar jobs" in another terminal shows the progress.

    [bold]Examples[/bold]

    nightjar ingest handbook.pdf notes/

    nightjar ingest --beir datasets/scifact      keeps the ids for its questions and judgments

    nightjar ingest notes/ --json > report.json
    """
    from rag.errors import UsageError
    from rag.library.reread import n_documents_to_reread

    if not paths and beir is None:
        raise UsageError('nothing to ingest: name files or folders, as in "nightjar ingest notes/", or --beir DIR')
    with opened_app(context) as app:
        app.tell = partial(typer.echo, err=True)
        started = time.perf_counter()
        report, encoding = _ingest(app, paths or [], beir, remove_vanished)
        seconds = time.perf_counter() - started
        n_passages = app.library.n_passages()
        n_cut_before = n_documents_to_reread(app.engine)
    if as_json:
        print_json(report_json(report, encoding, seconds) | {"n_cut_before": n_cut_before})
    else:
        print_report(report, encoding, n_passages)
        if n_cut_before:
            typer.echo(
                f"{n_cut_before:,} documents are still read or split by earlier settings: ingest them again to change that."
            )
    raise typer.Exit(1 if report.failed else 0)


def _ingest(
    app: App, paths: list[Path], beir: Path | None, remove_vanished: bool
) -> tuple[IngestReport, EncodingSummary]:
    from rag.ingestion.ingest import IngestReport

    report, encoding = IngestReport(), EncodingSummary()
    if beir is not None:
        report += _lines(app, beir)
    if paths:
        from_files, encoded = _files(app, paths, remove_vanished)
        report += from_files
        encoding = EncodingSummary(encoded.n_encoded, encoded.opening_s + encoded.encoding_s, encoded.opening_s)
    rest = _encoded(app)
    seconds = encoding.seconds + rest.seconds
    return report, EncodingSummary(encoding.n_encoded + rest.n_encoded, seconds, encoding.opening_s)


def _lines(app: App, beir: Path) -> IngestReport:
    from rag.ingestion.beir_corpus import corpus_path
    from rag.ingestion.ingest import ingest_beir

    with corpus_path(beir).open("rb") as file:
        n_lines = sum(1 for _ in file)
    with progress_bar("reading", n_lines, "lines") as advance:
        return ingest_beir(app.library, beir, progress=advance)


def _files(app: App, paths: list[Path], remove_vanished: bool) -> tuple[IngestReport, EncodingReport]:
    from rag.ingestion.ingest_jobs import IngestRequest
    from ui.background.ingest_worker import run_ingest
    from ui.commands.documents.ingest_progress import ingest_progress_bars

    asked = IngestRequest(tuple(map(str, paths)), str(Path.cwd()), remove_vanished)
    job = app.jobs.create(asked, "command")
    with ingest_progress_bars() as bars:
        return run_ingest(app, job, bars)


def _encoded(app: App) -> EncodingSummary:
    """Encodes passages that have no vector of the current version, also those that an earlier run left behind."""
    n_missing = app.n_missing_vectors()
    started = time.perf_counter()
    if not n_missing:
        return EncodingSummary()
    with progress_bar("encoding", n_missing) as advance:
        n_missing = app.encode_missing(advance)
    return EncodingSummary(n_missing, time.perf_counter() - started)
