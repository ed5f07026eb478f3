"""`nightjar golden`: questions with known answers, from files, votes, headings and a language model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ui.commands.command_group import command_group
from ui.commands.console import (
    FROM_ARGUMENT,
    JSON_OPTION,
    TO_ARGUMENT,
    opened_app,
    print_json,
    print_table,
    write_lines,
)

if TYPE_CHECKING:
    from eval.datasets.golden_locations import GoldenLocation
    from eval.datasets.golden_questions import Golden
    from rag.app.app import App

golden_group = command_group("golden", "Collect questions whose right passage or answer is known.")

MAX_QUESTION_LENGTH = 70  # how many characters of a question a table shows


@golden_group.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, FROM_ARGUMENT],
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Import golden questions: {"question", "source", "quote", "reference"?, "nuggets"?, "tags"?, "answerable"?} a line.

    A passage_id may replace source and quote. A nugget is a list of spellings of a fact that the answer must hold, or
    {"spellings": […], "vital": false}. Importing a file twice changes nothing. If a line is wrong, it is named and
    nothing is imported.

        nightjar golden import golden.jsonl
    """
    from eval.datasets.golden_questions import read_golden_file
    from eval.datasets.golden_store import resolve_passages

    lines = read_golden_file(file)
    with opened_app(context) as app:
        _add(app, resolve_passages(lines, app.library), as_json=as_json)


@golden_group.command()
def export(context: typer.Context, file: Annotated[Path, TO_ARGUMENT]) -> None:
    """Write every golden question that counts, one JSON object a line, as `import` reads it."""
    from eval.datasets.golden_store import list_golden

    with opened_app(context) as app:
        found = list_golden(app.engine)
    write_lines([location.golden.as_json() for location in found], file, "golden questions")


@golden_group.command("list")
def list_(
    context: typer.Context,
    *,
    retired: Annotated[bool, typer.Option(help="Also list questions that no longer count.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List the golden questions."""
    from dataclasses import asdict

    from eval.datasets.golden_store import list_golden

    with opened_app(context) as app:
        found = list_golden(app.engine, with_retired=retired)
    if as_json:
        print_json(
            [
                {name: value for name, value in asdict(location).items() if name != "golden"}
                | location.golden.as_json()
                for location in found
            ]
        )
        return
    rows = [
        [
            location.golden_id[:8],
            _short(location.golden.question),
            location.golden.source or "–",
            location.golden.origin,
            location.added_by,
            "retired" if location.retired_at else "",
        ]
        for location in found
    ]
    print_table(["id", "question", "document", "origin", "by", ""], rows)


@golden_group.command()
def retire(
    context: typer.Context,
    golden_id: Annotated[str, typer.Argument(help="The id, or its beginning.", show_default=False)],
) -> None:
    """Stop measuring with a question; adding it again brings it back."""
    from eval.datasets.golden_store import retire_golden as retire_one

    with opened_app(context) as app:
        typer.echo(f"retired: {retire_one(app.engine, golden_id).question}")


@golden_group.command()
def check(context: typer.Context, *, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Look for every golden question's quote in today's passages. Exit code 1 if a quote is lost."""
    from collections import Counter

    from eval.datasets.golden_locations import locate_golden
    from eval.datasets.golden_questions import golden_set_hash
    from eval.datasets.golden_store import list_golden
    from eval.datasets.question_sets import is_lost, lost_as_json

    with opened_app(context) as app:
        locations = locate_golden([golden.golden for golden in list_golden(app.engine)], app.library)
    lost = [location for location in locations if is_lost(location)]
    counts = Counter(location.method for location in locations)
    cut = [location.golden.question for location in locations if location.is_cut]
    sha256 = golden_set_hash(location.golden for location in locations)
    if as_json:
        print_json(
            {
                "n_questions": len(locations),
                "sha256": sha256,
                "found": dict(counts),
                "lost": lost_as_json(lost),
                "cut": cut,
            }
        )
    else:
        _print_check(locations, counts, cut, lost, sha256)
    if lost:
        raise typer.Exit(1)


@golden_group.command()
def add(
    context: typer.Context,
    source: Annotated[
        Literal["liked", "headings", "model"],
        typer.Argument(
            help="liked: passages that people agree are right; headings: the library's headings; model: questions that "
            "generator.model writes."
        ),
    ],
    *,
    questions: Annotated[
        int, typer.Option("-n", "--questions", min=1, help="How many at most, drawn at random.")
    ] = 100,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Add golden questions made from the library itself, marked by their origin.

    Headings and written questions are kept only if the base finds their passage: they are easier than what people
    ask, and their figures are shown separately.

        nightjar golden add liked
    """

    with opened_app(context) as app:
        made = list(_liked(app)) if source == "liked" else list(_cold(app, source, questions))
        _add(app, made[:questions] if source != "liked" else made, as_json=as_json)


def _liked(app: App) -> Iterable[Golden]:
    from retriever_training.cold_start.golden_sources import golden_from_votes
    from retriever_training.judgments.snapshot import load_judgments

    passages = {passage.passage_id: passage for passage in app.library.iterate_passages()}
    chosen = app.settings.feedback
    judgments = load_judgments(
        app.stores,
        passages,
        trusted=chosen.trusted,
        max_per_person=chosen.max_judgments_per_person,
        quarantined=chosen.quarantined,
    )
    return golden_from_votes(judgments.judgments, passages)


def _cold(app: App, source: str, n: int) -> Iterable[Golden]:
    from retriever_training.cold_start.golden_sources import golden_from_pseudo_questions
    from ui.commands.training.cold_start import build_pseudo_questions

    passages, cold = build_pseudo_questions(
        app, n if source == "model" else 0, ("heading",) if source == "headings" else (), n
    )
    return golden_from_pseudo_questions(passages, cold)


def _add(app: App, made: list[Golden], *, as_json: bool) -> None:
    from eval.datasets.golden_store import add_golden as add_all
    from eval.datasets.golden_store import list_golden

    before = {golden.golden_id for golden in list_golden(app.engine)}
    ids = add_all(app.engine, made, "local")
    n_new = len(set(ids) - before)
    if as_json:
        print_json({"n_read": len(ids), "n_new": n_new, "golden_ids": ids})
    else:
        typer.echo(f"{len(ids):,} golden questions, {n_new:,} of them new")


def _print_check(
    locations: list[GoldenLocation], counts: dict[Any, int], cut: list[str], lost: list[GoldenLocation], sha256: str
) -> None:
    typer.echo(
        f"{len(locations):,} golden questions, {sha256[:12]}: " + ", ".join(f"{how} {n:,}" for how, n in counts.items())
    )
    for question in cut:
        typer.echo(f"cut by the splitting: {question}")
    for lost_question in lost:
        where = lost_question.golden.source or "any document"
        typer.echo(
            f"lost ({lost_question.method}): {lost_question.golden.question} ({where}, {lost_question.golden.golden_id[:8]})"
        )


def _short(text: str) -> str:
    return text if len(text) <= MAX_QUESTION_LENGTH else text[: MAX_QUESTION_LENGTH - 1] + "…"
