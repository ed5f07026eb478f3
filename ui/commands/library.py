"""`nightjar ingest`, `sources` and `remove`: what the library holds."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, print_json, print_table, progress, settings_of

if TYPE_CHECKING:
    from rag.assemble import App
    from rag.ingest import IngestReport, Outcome

MAX_LISTED = 20  # of what was skipped or is there twice; failures are all listed


@dataclass(frozen=True, slots=True)
class Encoding:
    """What encoding the new passages took."""

    n_encoded: int
    seconds: float

    @property
    def passages_per_s(self) -> float:
        """0 where nothing was to do."""
        return self.n_encoded / self.seconds if self.n_encoded else 0.0


def register(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(ingest)
    app.command()(sources)
    app.command()(remove)


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.", show_default=False)] = None,
    beir: Annotated[
        Path | None, typer.Option(help="A BEIR folder: its corpus.jsonl, one passage a line.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring documents into the library, and make them findable.

    Reads .txt .md .html .pdf .docx and .csv; folders with all that is below them. Run it again whenever something
    has changed: unchanged files cost nothing, changed ones replace only the passages that changed. A file that
    can't be read is listed with its reason, the others go in, and the exit code is 1.

    [bold]Examples[/bold]

    nightjar ingest handbook.pdf notes/

    nightjar ingest --beir datasets/scifact      ids stay as they are, for its questions and judgments

    nightjar ingest notes/ --json > report.json
    """
    from rag.assemble import open_app
    from rag.errors import UsageError

    if not paths and beir is None:
        raise UsageError('nothing to ingest: name files or folders, as in "nightjar ingest notes/", or --beir DIR')
    app = open_app(settings_of(context))
    try:
        report = _stored(app, paths or [], beir)
        encoding = _encoded(app)
        n_passages = app.library.n_passages()
    finally:
        app.close()
    if as_json:
        print_json(_as_json(report, encoding))
    else:
        _print(report, encoding, n_passages)
    raise typer.Exit(1 if report.failed else 0)


def _stored(app: App, paths: list[Path], beir: Path | None) -> IngestReport:
    from rag.beir import corpus_of
    from rag.ingest import IngestReport, find_files, ingest_beir, ingest_found

    report = IngestReport()
    if beir is not None:
        with corpus_of(beir).open("rb") as file:
            n_lines = sum(1 for _ in file)
        with progress("reading", n_lines, "lines") as advance:
            report += ingest_beir(app.library, beir, progress=advance)
    if paths:
        found = find_files(paths)
        with progress("reading", len(found.files), "files") as advance:
            max_words = app.settings.passages.max_words
            report += ingest_found(app.library, found, max_words=max_words, progress=advance, limits=app.limits)
    return report


def _encoded(app: App) -> Encoding:
    """Encodes what the current version has no vectors for, also what an earlier run left behind."""
    n_missing = app.missing_vectors()
    started = time.perf_counter()
    if n_missing:
        with progress("encoding", n_missing) as advance:
            n_missing = app.encode_missing(advance)
    return Encoding(n_missing, time.perf_counter() - started)


def _as_json(report: IngestReport, encoding: Encoding) -> dict[str, Any]:
    outcomes = asdict(report)
    n_passages_new = outcomes.pop("n_passages_new")
    listed = {kind: [{"source": source, "note": note} for source, note in outcomes[kind]] for kind in outcomes}
    return {
        **listed,
        "n_passages_new": n_passages_new,
        "n_encoded": encoding.n_encoded,
        "encode_seconds": round(encoding.seconds, 3),
        "passages_per_s": round(encoding.passages_per_s, 1),
    }


def _print(report: IngestReport, encoding: Encoding, n_passages: int) -> None:
    kinds = {"added": report.added, "changed": report.changed, "unchanged": report.unchanged,
             "there twice": report.duplicates, "skipped": report.skipped, "failed": report.failed}  # fmt: skip
    counts = ", ".join(f"{len(outcomes):,} {kind}" for kind, outcomes in kinds.items() if outcomes)
    typer.echo(f"{counts or 'no files found'}; {report.n_passages_new:,} new passages, {n_passages:,} in the library.")
    if encoding.n_encoded:
        typer.echo(f"Encoded {encoding.n_encoded:,} passages in {encoding.seconds:.1f} s "
                   f"({encoding.passages_per_s:,.1f} passages/s, opening the encoder included).")  # fmt: skip
    _list("Notes", [outcome for outcome in (*report.added, *report.changed) if outcome[1]], MAX_LISTED)
    _list("There twice, stored once", report.duplicates, MAX_LISTED)
    _list("Skipped", report.skipped, MAX_LISTED)
    _list("Failed", report.failed, len(report.failed))


def _list(title: str, outcomes: tuple[Outcome, ...] | list[Outcome], most: int) -> None:
    if not outcomes:
        return
    typer.echo(f"\n{title}:")
    for source, note in outcomes[:most]:
        typer.echo(f"  {printable(source)}: {printable(note)}")
    if len(outcomes) > most:
        typer.echo(f"  … and {len(outcomes) - most:,} more (all of them with --json)")


def printable(text: str) -> str:
    r"""The text, or with escapes where a file's name holds what would steer the terminal.

    >>> printable("a.txt"), printable("a\x1b[2J.txt")
    ('a.txt', 'a\\x1b[2J.txt')
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def sources(context: typer.Context, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List the documents in the library.

    [bold]Examples[/bold]

    nightjar sources

    nightjar sources --json
    """
    from rag.assemble import open_app

    app = open_app(settings_of(context))
    try:
        listed = app.library.sources()
    finally:
        app.close()
    if as_json:
        print_json([asdict(source) for source in listed])
        return
    if not listed:
        typer.echo('The library is empty: "nightjar ingest PATH" brings documents in.')
        return
    rows = [[printable(one.source), printable(one.title), f"{one.n_passages:,}", one.added_at[:16].replace("T", " ")]
            for one in listed]  # fmt: skip
    print_table(["source", "title", "passages", "added (UTC)"], rows)


def remove(
    context: typer.Context,
    named: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Sources, or folders of them.")],
) -> None:
    """Take documents out of the library, with their passages and vectors.

    A folder takes everything below it. Verdicts on what is gone stay on record, and count no longer.

    [bold]Examples[/bold]

    nightjar remove notes/old.md

    nightjar remove notes/ scifact      a folder, and a whole BEIR dataset
    """
    from rag.assemble import open_app
    from rag.errors import NotFoundError

    missing = []
    app = open_app(settings_of(context))
    try:
        for source in named:
            try:
                n_removed = _removed(app, source)
            except NotFoundError as error:
                missing.append(str(error))
            else:
                typer.echo(f"Removed {n_removed:,} document{'s' * (n_removed != 1)}: {printable(source)}")
    finally:
        app.close()
    if missing:
        raise NotFoundError("\n".join(missing))


def _removed(app: App, source: str) -> int:
    """Sources are tried as they are written, then as `ingest` would name the path."""
    from rag.errors import NotFoundError
    from rag.ingest import source_of

    try:
        return app.library.remove(source)
    except NotFoundError:
        return app.library.remove(source_of(Path(source)))
