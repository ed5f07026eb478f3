"""`nightjar eval report`: one or two versions on questions with known passages, as a folder for people, programs and CI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, load_command_settings, print_json

if TYPE_CHECKING:
    from rag.app.app import App
    from rag.settings import Settings
    from retriever_training.measuring.on_demand_report import OnDemandReport

EXIT_CODE_BY_DECISION = {"promoted": 0, "kept": 3, "invalid": 4}


def report(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="The folder to write; it must not be there.", show_default=False)],
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="A BEIR folder whose passages are in the library; else people's held-out judgments.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which of the folder's qrels files.")] = "test",
    current: Annotated[
        str | None, typer.Option(help="A version, or the beginning of its id; the current one.", show_default=False)
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(help="A version to compare with it by the gate's rules.", show_default=False)
    ] = None,
    minimum: Annotated[
        list[str] | None,
        typer.Option(
            "--min", help="A bar for a measure, as in nDCG@10=0.6; may be given more than once.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Write a report on one version, or on two: a page, a summary, figures, TREC runs and JUnit in one folder.

    The bars of --min, and those of the setting eval.minimum, hold for the candidate, or for the one version. Exit codes: 0
    every rule let it through, 3 one did not, 4 too little to decide.

    [bold]Examples[/bold]

    nightjar eval report --dataset datasets/scifact --out report --min nDCG@10=0.6

    nightjar eval report --current 9c07 --candidate 3f2a --out report
    """
    from eval.report.ci_thresholds import parse_thresholds
    from eval.report.output.write_report import write_report
    from rag.app.app import open_app
    from retriever_training.output_path import atomic_replace, check_output_path

    check_output_path(out, force=force)
    settings = load_command_settings(context)
    bars = parse_thresholds([*(f"{name}={bar}" for name, bar in settings.eval.minimum.items()), *(minimum or ())])
    app = open_app(settings)
    try:
        made = _made(app, settings, dataset=dataset, split=split, names=(current, candidate), bars=bars)
        with atomic_replace(out) as beside:
            write_report(
                beside,
                made.decision,
                facts=made.facts,
                comparison=made.comparison,
                background=made.background,
                headline=made.headline,
            )
    finally:
        app.close()
    if as_json:
        print_json({"decision": made.decision.decision, "reasons": list(made.decision.reasons), "report": str(out)})
    else:
        typer.echo(f"{made.headline}\n" + "\n".join(f"- {reason}" for reason in made.decision.reasons))
        typer.echo(f"See {out / 'report.html'}")
    raise typer.Exit(EXIT_CODE_BY_DECISION[made.decision.decision])


def _made(
    app: App,
    settings: Settings,
    dataset: Path | None,
    split: str,
    names: tuple[str | None, str | None],
    bars: Mapping[str, float],
) -> OnDemandReport:
    from eval.datasets.beir import load_beir
    from eval.gate.rules import GateRules
    from retriever_training.judgments.snapshot import load_snapshot
    from retriever_training.measuring.on_demand_report import build_report, questions_of_dataset, questions_of_judgments

    rules = GateRules(**settings.gate.model_dump())
    current = app.registry.version(names[0]) if names[0] else app.current()
    candidate = app.registry.version(names[1]) if names[1] else None
    if dataset:
        asked = questions_of_dataset(app.stores, load_beir(dataset), split)
    else:
        people = settings.feedback
        evidence = load_snapshot(
            app.stores,
            trusted=people.trusted,
            max_per_person=people.max_judgments_per_person,
            quarantined=people.quarantined,
        )
        asked = questions_of_judgments(app.stores, evidence, rules, evidence.fingerprint())
    command = "nightjar eval report" + (f" --dataset {dataset} --split {split}" if dataset else "")
    command += f" --current {current.encoder_id}" + (f" --candidate {candidate.encoder_id}" if candidate else "")
    return build_report(
        app.stores, asked, current=current, candidate=candidate, rules=rules, thresholds=bars, command=command
    )
