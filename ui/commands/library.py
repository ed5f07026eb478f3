"""`nightjar ingest`, `sources` and `remove`: what the library holds."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, print_json, print_table, printable, progress, settings_of

if TYPE_CHECKING:
    from rag.assemble import App
    from rag.encode_beside import Encoded
    from rag.find_files import Outcome
    from rag.ingest import IngestReport
    from rag.library import Source
    from rag.remove_documents import Removed

LISTED = 100  # documents with their counts, unless somebody asks for more
MAX_LISTED = 20  # of what was skipped or is there twice; failures are all listed


@dataclass(frozen=True, slots=True)
class Encoding:
    """What encoding the new passages took."""

    n_encoded: int = 0
    seconds: float = 0.0
    opening_s: float = 0.0
    """Of these, until the encoder was there."""

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
    *,
    remove_vanished: Annotated[
        bool, typer.Option("--remove-vanished", help="Take out what is no longer in the folders named.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring documents into the library, and make them findable.

    Reads text, Markdown, web pages, PDF, Office files, tables, e-mail, e-books and zip archives of them; folders with
    all that is below them. Run it again whenever something has changed: unchanged files cost nothing, changed ones
    replace only the passages that changed. A file that can't be read is listed with its reason, the others go in, and
    the exit code is 1. Documents whose file is gone from a folder are listed, and removed only where you say so.
    "nightjar jobs" shows from elsewhere how far it is.

    [bold]Examples[/bold]

    nightjar ingest handbook.pdf notes/

    nightjar ingest --beir datasets/scifact      ids stay as they are, for its questions and judgments

    nightjar ingest notes/ --json > report.json
    """
    from rag.assemble import open_app
    from rag.errors import UsageError
    from rag.recut import n_waiting

    if not paths and beir is None:
        raise UsageError('nothing to ingest: name files or folders, as in "nightjar ingest notes/", or --beir DIR')
    app = open_app(settings_of(context))
    app.tell = partial(typer.echo, err=True)
    try:
        started = time.perf_counter()
        report, encoding = _brought_in(app, paths or [], beir, remove_vanished)
        seconds = time.perf_counter() - started
        n_passages = app.library.n_passages()
        n_cut_before = n_waiting(app.engine)
    finally:
        app.close()
    if as_json:
        print_json(_as_json(report, encoding, seconds) | {"n_cut_before": n_cut_before})
    else:
        _print(report, encoding, n_passages)
        if n_cut_before:
            typer.echo(
                f"{n_cut_before:,} documents are still read or cut by former settings: ingest them again to change that."
            )
    raise typer.Exit(1 if report.failed else 0)


def _brought_in(app: App, paths: list[Path], beir: Path | None, remove_vanished: bool) -> tuple[IngestReport, Encoding]:
    from rag.ingest import IngestReport

    report, encoding = IngestReport(), Encoding()
    if beir is not None:
        report += _lines(app, beir)
    if paths:
        from_files, encoded = _files(app, paths, remove_vanished)
        report += from_files
        encoding = Encoding(encoded.n_encoded, encoded.opening_s + encoded.encoding_s, encoded.opening_s)
    rest = _encoded(app)
    seconds = encoding.seconds + rest.seconds
    return report, Encoding(encoding.n_encoded + rest.n_encoded, seconds, encoding.opening_s)


def _lines(app: App, beir: Path) -> IngestReport:
    from rag.beir import corpus_of
    from rag.ingest import ingest_beir

    with corpus_of(beir).open("rb") as file:
        n_lines = sum(1 for _ in file)
    with progress("reading", n_lines, "lines") as advance:
        return ingest_beir(app.library, beir, progress=advance)


def _files(app: App, paths: list[Path], remove_vanished: bool) -> tuple[IngestReport, Encoded]:
    from rag.jobs import Asked
    from ui.commands.ingest_bars import ingest_bars
    from ui.run_ingest import run_ingest

    asked = Asked(tuple(map(str, paths)), str(Path.cwd()), remove_vanished)
    job = app.jobs.create(asked, "command")
    with ingest_bars() as bars:
        return run_ingest(app, job, bars)


def _encoded(app: App) -> Encoding:
    """Encodes what the current version has no vectors for, also what an earlier run left behind."""
    n_missing = app.missing_vectors()
    started = time.perf_counter()
    if not n_missing:
        return Encoding()
    with progress("encoding", n_missing) as advance:
        n_missing = app.encode_missing(advance)
    return Encoding(n_missing, time.perf_counter() - started)


def _as_json(report: IngestReport, encoding: Encoding, seconds: float) -> dict[str, Any]:
    outcomes = asdict(report)
    n_passages_new = outcomes.pop("n_passages_new")
    listed = {kind: [{"source": source, "note": note} for source, note in outcomes[kind]] for kind in outcomes}
    return {
        **listed,
        "n_passages_new": n_passages_new,
        "n_encoded": encoding.n_encoded,
        "encode_seconds": round(encoding.seconds, 3),
        "passages_per_s": round(encoding.passages_per_s, 1),
        "seconds": round(seconds, 3),
        "opening_seconds": round(encoding.opening_s, 3),
        "encoding_seconds": round(encoding.seconds - encoding.opening_s, 3),
        "memory_mib": _most_memory_mib(resource.RUSAGE_SELF),
        "reader_memory_mib": _most_memory_mib(resource.RUSAGE_CHILDREN),
    }


def _most_memory_mib(whose: int) -> int:
    """The most that this process, or the largest of its children that have ended, ever held."""
    most = resource.getrusage(whose).ru_maxrss
    return most // (1024**2 if sys.platform == "darwin" else 1024)


def _print(report: IngestReport, encoding: Encoding, n_passages: int) -> None:
    kinds = {"added": report.added, "changed": report.changed, "unchanged": report.unchanged,
             "there twice": report.duplicates, "skipped": report.skipped, "vanished": report.vanished,
             "failed": report.failed}  # fmt: skip
    counts = ", ".join(f"{len(outcomes):,} {kind}" for kind, outcomes in kinds.items() if outcomes)
    typer.echo(f"{counts or 'no files found'}; {report.n_passages_new:,} new passages, {n_passages:,} in the library.")
    if encoding.n_encoded:
        typer.echo(f"Encoded {encoding.n_encoded:,} passages in {encoding.seconds:.1f} s "
                   f"({encoding.passages_per_s:,.1f} passages/s, opening the encoder included).")  # fmt: skip
    _list("Notes", [outcome for outcome in (*report.added, *report.changed) if outcome[1]], MAX_LISTED)
    _list("There twice, stored once", report.duplicates, MAX_LISTED)
    _list("Skipped", report.skipped, MAX_LISTED)
    is_removed = any(note for _, note in report.vanished)
    title = "Gone from the folder, and removed" if is_removed else "Gone from the folder, kept (--remove-vanished)"
    _list(title, report.vanished, MAX_LISTED)
    _list("Failed", report.failed, len(report.failed))


def _list(title: str, outcomes: tuple[Outcome, ...] | list[Outcome], most: int) -> None:
    if not outcomes:
        return
    typer.echo(f"\n{title}:")
    for source, note in outcomes[:most]:
        typer.echo(f"  {printable(source)}{f': {printable(note)}' if note else ''}")
    if len(outcomes) > most:
        typer.echo(f"  … and {len(outcomes) - most:,} more (all of them with --json)")


def sources(
    context: typer.Context,
    *,
    match: Annotated[str, typer.Option(help="Only those with this in their name or title.", show_default=False)] = "",
    sort: Annotated[
        str,
        typer.Option(
            help="source, title, type, passages, size, added, helpful, not_relevant, outdated "
            "or cited; -outdated: the most first."
        ),
    ] = "source",
    only: Annotated[str, typer.Option(help="outdated, encoding or replaced.", show_default=False)] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, max=500, help="With counts, at most so many.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List the documents in the library.

    With any of --match, --sort, --only and --limit, at most 100 unless --limit says otherwise, with their state, the
    verdicts on their passages, and how often answers cite them.

    [bold]Examples[/bold]

    nightjar sources

    nightjar sources --match 2026 --sort=-cited

    nightjar sources --only outdated --sort=-outdated --json
    """  # fmt: skip
    from rag.assemble import open_app
    from rag.catalogue import Wanted
    from ui.shapes import listed_json

    wanted = Wanted(match, sort, only)
    app = open_app(settings_of(context))
    try:
        if wanted == Wanted() and limit is None:
            _print_sources(app.library.sources(), as_json=as_json)
            return
        listed, n = app.catalogue().page(wanted, limit or LISTED)
    finally:
        app.close()
    if as_json:
        print_json([listed_json(one) for one in listed])
        return
    rows = [[printable(one.source), printable(one.title), one.state, f"{one.n_passages:,}", f"{one.n_characters:,}",
             one.added_at[:10], *(f"{n:,}" for n in astuple(one.tally))] for one in listed]  # fmt: skip
    print_table(["source", "title", "state", "passages", "characters", "added", "helpful", "not relevant", "outdated",
                 "cited"], rows)  # fmt: skip
    if n > len(listed):
        typer.echo(f"… and {n - len(listed):,} more (--limit)")


def _print_sources(listed: list[Source], *, as_json: bool) -> None:
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
    *,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Take documents out of the library, with their passages, vectors and standing verdicts.

    A folder takes everything below it. Versions that learnt from what is gone are named; they answer until the next
    night, which starts from the base without it.

    [bold]Examples[/bold]

    nightjar remove notes/old.md

    nightjar remove notes/ scifact      a folder, and a whole BEIR dataset
    """
    from rag.assemble import open_app
    from rag.errors import NotFoundError
    from ui.shapes import removed_json

    missing, gone = [], []
    app = open_app(settings_of(context))
    try:
        for source in named:
            try:
                gone.append((source, _removed(app, source)))
            except NotFoundError as error:
                missing.append(str(error))
    finally:
        app.close()
    if as_json:
        print_json([{"source": source, **removed_json(removed)} for source, removed in gone])
    else:
        for source, removed in gone:
            _print_removed(source, removed)
    if missing:
        raise NotFoundError("\n".join(missing))


def _removed(app: App, source: str) -> Removed:
    """Sources are tried as they are written, then as `ingest` would name the path."""
    from rag.errors import NotFoundError
    from rag.find_files import source_of
    from ui.removing import remove as take_out

    try:
        return take_out(app, source)
    except NotFoundError:
        return take_out(app, source_of(Path(source)))


def _print_removed(source: str, removed: Removed) -> None:
    typer.echo(f"Removed {removed.n_documents:,} document{'s' * (removed.n_documents != 1)}: {printable(source)}")
    if removed.n_verdicts:
        typer.echo(
            f"  {removed.n_verdicts:,} verdict{'s' * (removed.n_verdicts != 1)} on its passages no longer stand."
        )
    if removed.learnt:
        typer.echo(f"  Learnt from it: {', '.join(removed.learnt)}. The next night starts from the base, without it; "
                   '"nightjar nightly" runs one now.')  # fmt: skip
