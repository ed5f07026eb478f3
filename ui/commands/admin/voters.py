"""`nightjar people` and `forget-person`: whose votes count or wait, and how to erase a person."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table

if TYPE_CHECKING:
    from rag.accounts.erasure import ErasureCounts
    from retriever_training.judgments.voters import Voter


def people(context: typer.Context, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List who votes, how often others agree with them, and whose votes wait and why.

    A person's votes wait if others contradict them too often, if they come faster than anybody reads, or if they are
    hundreds of rejections that nobody shares. To make them count, name the person in [bold]feedback.trusted[/bold]; to
    make a person's votes wait, in [bold]feedback.quarantined[/bold].

    [bold]Example[/bold]

    nightjar people --json
    """
    from rag.app.app import open_app
    from retriever_training.judgments.snapshot import load_judgments
    from ui.texts.reasons import describe_drop, describe_wait

    settings = load_command_settings(context)
    app = open_app(settings)
    try:
        judgments = load_judgments(
            app.stores,
            {passage.passage_id for passage in app.library.iterate_passages()},
            trusted=settings.feedback.trusted,
            quarantined=settings.feedback.quarantined,
            max_per_person=settings.feedback.max_judgments_per_person,
        )
    finally:
        app.close()
    listed = list(judgments.people.values())
    if as_json:
        dropped = dict(judgments.dropped)
        print_json({"people": [_as_json(voter) for voter in listed], "dropped": dropped})
        return
    if not listed:
        typer.echo('Nobody has voted yet: "nightjar serve" and "nightjar feedback import" bring votes in.')
        return
    rows = [
        [
            voter.name,
            f"{voter.n_votes:,}",
            f"{voter.n_rejections:,}",
            f"{voter.n_agreed:,} of {voter.n_compared:,}" if voter.n_compared else "–",
            f"{voter.record:.2f}",
            describe_wait(voter.waits) if voter.waits else "",
        ]
        for voter in sorted(listed, key=lambda voter: (not voter.waits, -voter.n_votes))
    ]
    print_table(["person", "votes", "rejections", "others agree", "record", "waits, because"], rows)
    for reason, n in sorted(judgments.dropped.items()):
        typer.echo(f"left out, {describe_drop(reason)}: {n:,}")


def _as_json(person: Voter) -> dict[str, Any]:
    from ui.texts.reasons import describe_wait

    waits = describe_wait(person.waits) if person.waits else ""
    return asdict(person) | {"waits": waits, "record": round(person.record, 4), "proven": person.is_proven}


def forget_person(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As listed by `nightjar people`.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Remove a person's questions and votes for good: the next night learns without them.

    Their verdicts, their questions with the answers, the vectors of these questions, their conversations, and their
    account with its sessions and tokens are removed in one transaction. A question that others judged too stays, without
    name and answer. Versions that learned from the person answer until the next promotion or a rollback. Candidates
    that the gate refused and that may have learned from the person are removed at once. Backups and exported files are
    yours to clean.

    [bold]Examples[/bold]

    nightjar forget-person ann --dry-run

    nightjar forget-person ann --yes
    """
    from rag.app.app import open_app
    from rag.errors import UsageError
    from ui.actions.erase_person import erase_person

    app = open_app(load_command_settings(context))
    try:
        if not dry_run and not yes:
            if not sys.stdin.isatty():
                raise UsageError(
                    f"removing everything of {name!r} can not be undone: add --yes, or look first with --dry-run"
                )
            _print(name, *erase_person(app, name, dry_run=True), dry_run=True)
            typer.confirm("Remove all this for good?", abort=True)
        erased, learned, refused = erase_person(app, name, dry_run=dry_run)
    finally:
        app.close()
    if as_json:
        print_json({"person": name, "dry_run": dry_run, **asdict(erased), "versions": learned, "discarded": refused})
    else:
        _print(name, erased, learned, refused, dry_run=dry_run)


def _print(name: str, erased: ErasureCounts, learned: list[str], refused: list[str], *, dry_run: bool) -> None:
    from ui.actions.erase_person import format_erasure

    for line in format_erasure(name, erased, learned, refused, dry_run=dry_run):
        typer.echo(line)
