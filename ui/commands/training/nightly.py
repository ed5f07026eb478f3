"""The night and what it makes: nightly, versions, promote, rollback, compare."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.background.night_plan import build_night_plan
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, stage_progress_bars
from ui.commands.training.calibrate import calibrate_after_night

if TYPE_CHECKING:
    from rag.app.app import App
    from rag.versions.registry import Version
EXIT_CODE_BY_DECISION = {"promoted": 0, "kept": 3, "invalid": 4}


def nightly(
    context: typer.Context,
    tier: Annotated[
        str | None,
        typer.Option(help="auto, 1 (query map, seconds), 2 (query tower, minutes) or 3 (both towers, long)."),
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Run one whole night: judgments, negatives, training, measurement, gate, and promotion if it is better.

    Safe to run twice and safe to kill. Exit codes: 0 promoted, 3 the gate said no, 4 too little data,
    75 another night is running.

        nightjar nightly
        nightjar nightly --tier 3 --json
    """
    from rag.app.app import open_app
    from retriever_training.nightly.run_night import run_night

    settings = load_command_settings(context, **({"night": {"tier": tier}} if tier else {}))
    app = open_app(settings)
    with stage_progress_bars() as watch:
        summary = run_night(app.stores, build_night_plan(settings), watch)
        if summary.decision == "promoted" and not summary.repeated:
            calibrate_after_night(app, watch)
    if as_json:
        print_json(summary.as_json())
    else:
        repeated = " · the same judgments as before, nothing was trained" if summary.repeated else ""
        tier_label = "" if summary.tier is None else f" · tier {summary.tier}"
        typer.echo(f"{summary.decision}{tier_label} · {summary.seconds:.0f} s{repeated}")
        for reason in summary.reasons:
            typer.echo(f"- {reason}")
    raise typer.Exit(EXIT_CODE_BY_DECISION[summary.decision])


def versions(context: typer.Context, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List the retriever versions, and which one answers."""
    from rag.app.app import open_app
    from retriever_training.versions.rejected_candidates import latest_refusals
    from ui.actions.compare import version_names

    app = open_app(load_command_settings(context))
    current = app.current().encoder_id
    found, called, refused = app.registry.versions(), version_names(app), latest_refusals(app.stores)
    if as_json:
        print_json(
            {
                "current": current,
                "versions": [_as_json(reason, called, current, refused) for reason in found],
                "history": [
                    {
                        "version": promotion.encoder_id,
                        "kind": promotion.kind,
                        "reason": promotion.reason,
                        "at": promotion.promoted_at.isoformat(),
                    }
                    for promotion in app.registry.history()
                ],
            }
        )
        return
    rows = [
        [
            "→" if reason.encoder_id == current else "",
            _number(reason, called),
            reason.encoder_id,
            str(reason.tier),
            reason.parent_id or "",
            reason.passage_side,
            f"{reason.lexical_weight:g}",
            "kept" if reason.folder.is_dir() else "gone",
            "refused" if reason.encoder_id in refused else "",
            reason.created_at.isoformat(timespec="seconds"),
        ]
        for reason in found
    ]
    print_table(["", "name", "version", "tier", "parent", "passages", "BM25 weight", "files", "gate", "made"], rows)


def _number(version: Version, called: Mapping[str, str]) -> str:
    """Returns the name of a version, or "" if it never answered: its id is shown anyway."""
    name = called[version.encoder_id]
    return "" if version.encoder_id.startswith(name) else name


def _as_json(version: Version, called: Mapping[str, str], current: str, refused: Collection[str]) -> dict[str, Any]:
    return {
        "version": version.encoder_id,
        "name": called[version.encoder_id],
        "current": version.encoder_id == current,
        "tier": version.tier,
        "parent": version.parent_id,
        "passage_side": version.passage_side,
        "lexical_weight": version.lexical_weight,
        "dev_ndcg@10": version.note.get("dev_ndcg@10"),
        "kept": version.folder.is_dir(),
        "refused": version.encoder_id in refused,
        "created_at": version.created_at.isoformat(timespec="seconds"),
    }


def promote(
    context: typer.Context, version: Annotated[str, typer.Argument(help="The id of the version, or its beginning.")]
) -> None:
    """Make a version answer, whatever the gate said; a running application switches within two seconds.

    For a version that the gate refused, it prints a warning, and the history records that a person overruled the gate.
    The last refused version keeps its files for that; [bold]night.keep_refused[/bold] says how many do.
    """
    from rag.app.app import open_app
    from retriever_training.versions.rejected_candidates import latest_refusals, promotion_reason, refusal_warning

    app = open_app(load_command_settings(context))
    app.current()
    against = latest_refusals(app.stores).get(app.registry.version(version).encoder_id)
    promoted = app.registry.promote(version, promotion_reason(against, "promoted by hand"))
    if against:
        typer.echo(f"warning: {refusal_warning(against)}", err=True)
    typer.echo(f"{_name_and_id(app, promoted)} answers now")


def rollback(context: typer.Context) -> None:
    """Make the version before the current one answer again."""
    from rag.app.app import open_app

    app = open_app(load_command_settings(context))
    app.current()
    typer.echo(f"{_name_and_id(app, app.registry.rollback())} answers now")


def _name_and_id(app: App, version: Version) -> str:
    """Returns the name of a version and its whole id."""
    from ui.actions.compare import version_names

    return f"{version_names(app)[version.encoder_id]} ({version.encoder_id})"


def compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(help="A version.")],
    b: Annotated[str, typer.Argument(help="Another version.")],
    question: Annotated[str, typer.Argument(help="What to ask both.")],
    k: Annotated[int, typer.Option("-k", help="Passages to show.")] = 10,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Ask two versions the same question and show what moved."""
    from rag.app.app import open_app

    app = open_app(load_command_settings(context))
    first, second = app.retriever_for(a).search(question, k), app.retriever_for(b).search(question, k)
    ranks = {hit.passage.passage_id: hit.rank for hit in first}
    if as_json:
        print_json({"question": question, "a": [_hit(hit) for hit in first], "b": [_hit(hit) for hit in second]})
        return
    rows = [
        [str(hit.rank), str(ranks.get(hit.passage.passage_id, "–")), hit.passage.public_id, hit.passage.title]
        for hit in second
    ]
    print_table([f"rank in {b}", f"rank in {a}", "passage", "title"], rows)


def _hit(hit: Any) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "passage_id": hit.passage.public_id,
        "score": hit.score,
        "dense": hit.dense,
        "lexical": hit.lexical,
    }
