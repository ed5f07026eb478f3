"""`nightjar sources` and `remove`: the documents of the library."""

from __future__ import annotations

from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, escape_unprintable, opened_app, print_json, print_table

if TYPE_CHECKING:
    from rag.app.app import App
    from rag.ingestion.remove_documents import RemovalCounts
    from rag.library.library import SourceSummary

MAX_LISTED = 100  # how many documents are listed with their counts, unless --limit says otherwise


def sources(
    context: typer.Context,
    *,
    match: Annotated[
        str, typer.Option(help="Only documents with this text in their name or title.", show_default=False)
    ] = "",
    sort: Annotated[
        str,
        typer.Option(
            help="source, title, type, passages, size, added, helpful, not_relevant, outdated "
            "or cited; -outdated puts the most first."
        ),
    ] = "source",
    only: Annotated[str, typer.Option(help="outdated, encoding or replaced.", show_default=False)] = "",
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=500, help="How many documents to list with their counts.", show_default=False),
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
    """
    from rag.insights.document_listing import DocumentQuery
    from ui.serializers.answers import document_json

    wanted = DocumentQuery(match, sort, only)
    with opened_app(context) as app:
        if wanted == DocumentQuery() and limit is None:
            _print_sources(app.library.sources(), as_json=as_json)
            return
        listed, n = app.document_listing().page(wanted, limit or MAX_LISTED)
    if as_json:
        print_json([document_json(document) for document in listed])
        return
    rows = [
        [
            escape_unprintable(document.source),
            escape_unprintable(document.title),
            document.state,
            f"{document.n_passages:,}",
            f"{document.n_characters:,}",
            document.added_at[:10],
            *(f"{n:,}" for n in astuple(document.tally)),
        ]
        for document in listed
    ]
    print_table(
        ["source", "title", "state", "passages", "characters", "added", "helpful", "not relevant", "outdated", "cited"],
        rows,
    )
    if n > len(listed):
        typer.echo(f"… and {n - len(listed):,} more (--limit)")


def _print_sources(listed: list[SourceSummary], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(source) for source in listed])
        return
    if not listed:
        typer.echo('The library is empty: "nightjar ingest PATH" adds documents.')
        return
    rows = [
        [
            escape_unprintable(document.source),
            escape_unprintable(document.title),
            f"{document.n_passages:,}",
            document.added_at[:16].replace("T", " "),
        ]
        for document in listed
    ]
    print_table(["source", "title", "passages", "added (UTC)"], rows)


def remove(
    context: typer.Context,
    named: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Sources, or folders of them.")],
    *,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Remove documents from the library, with their passages, vectors and current verdicts.

    A folder stands for everything below it. Versions that learned from the documents are named; they answer until the
    next night, which starts from the base without them.

    [bold]Examples[/bold]

    nightjar remove notes/old.md

    nightjar remove notes/ scifact      a folder, and a whole BEIR dataset
    """
    from rag.errors import NotFoundError
    from ui.serializers.answers import removal_json

    missing, removals = [], []
    with opened_app(context) as app:
        for source in named:
            try:
                removals.append((source, _removed(app, source)))
            except NotFoundError as error:
                missing.append(str(error))
    if as_json:
        print_json([{"source": source, **removal_json(removed)} for source, removed in removals])
    else:
        for source, removed in removals:
            _print_removed(source, removed)
    if missing:
        raise NotFoundError("\n".join(missing))


def _removed(app: App, source: str) -> RemovalCounts:
    """Removes the source as it is written or, if there is none, as `ingest` would name the path."""
    from rag.errors import NotFoundError
    from rag.ingestion.find_files import source_name
    from ui.actions.remove_documents import remove_documents as take_out

    try:
        return take_out(app, source)
    except NotFoundError:
        return take_out(app, source_name(Path(source)))


def _print_removed(source: str, removed: RemovalCounts) -> None:
    typer.echo(
        f"Removed {removed.n_documents:,} document{'s' * (removed.n_documents != 1)}: {escape_unprintable(source)}"
    )
    if removed.n_verdicts:
        typer.echo(
            f"  {removed.n_verdicts:,} verdict{'s' * (removed.n_verdicts != 1)} on its passages no longer count."
        )
    if removed.was_trained_on:
        typer.echo(
            f"  Learned from it: {', '.join(removed.was_trained_on)}. The next night starts from the base, without it; "
            '"nightjar nightly" runs one now.'
        )
