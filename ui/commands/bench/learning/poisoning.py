"""`nightjar bench poison`: nights under attack, measured on labels that nobody votes on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.bench.harness.work_folder import save_and_open_base
from ui.commands.console import (
    JSON_OPTION,
    load_command_settings,
    print_json,
    print_table,
    progress_bar,
    stage_progress_bars,
)

if TYPE_CHECKING:
    from rag.settings import Settings
    from retriever_training.bench.poisoning import AttackOutcome
    from retriever_training.bench.simulated_library import SimulatedLibrary


def poison(
    context: typer.Context,
    *,
    beir: Annotated[Path, typer.Option(help="A BEIR folder with train and test labels.", show_default=False)],
    seeds: Annotated[int, typer.Option(min=1, help="How often each attack is drawn.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1,
    questions: Annotated[int, typer.Option(min=50, help="How many train questions people ask.")] = 2_000,
    attack: Annotated[
        list[str] | None, typer.Option(help="Only this attack; may be repeated.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Let people vote against the truth, and see whether a night promotes something worse.

    Half of all votes flipped, one person with a thousand wrong pins, a passage voted down everywhere, and one person in
    twenty who votes against the truth for seven nights; tier 1, learned and gated on votes alone, measured on the
    test labels. Your library is not touched.

    [bold]Example[/bold]

    nightjar bench poison --beir datasets/scifact --seeds 50
    """
    from rag.errors import UsageError
    from retriever_training.bench.poisoning import ATTACKS, run_attack

    chosen = attack or list(ATTACKS)
    if unknown := sorted(set(chosen) - set(ATTACKS)):
        raise UsageError(f"attack {unknown[0]!r} is unknown: use one of {', '.join(map(repr, ATTACKS))}")
    world = _world(load_command_settings(context), beir, questions)
    outcomes: list[AttackOutcome] = []
    with progress_bar("attacks", seeds * len(chosen), "attacks") as advance:
        for seed in range(first_seed, first_seed + seeds):
            for name in chosen:
                outcomes.append(run_attack(world, name, seed))
                advance(1)
    summary = {name: _summary([outcome for outcome in outcomes if outcome.attack == name]) for name in chosen}
    if as_json:
        print_json(
            {
                "dataset": beir.name,
                "n_seeds": seeds,
                "attacks": summary,
                "outcomes": [asdict(outcome) for outcome in outcomes],
            }
        )
        return
    rows = [
        [
            name,
            f"{value['n_promoted']} of {seeds}",
            f"{value['mean_change']:+.4f}",
            f"{value['worst_change']:+.4f}",
            f"{value['worst_promotion']:+.4f}",
            ", ".join(value["waiting"]) or "nobody",
        ]
        for name, value in summary.items()
    ]
    print_table(
        ["attack", "draws with a promotion", "mean change", "worst change", "worst promotion", "in quarantine"],
        rows,
        f"{beir.name}: served nDCG@10 on {len(world.golden):,} test questions, after the attack minus before",
    )


def _summary(outcomes: list[AttackOutcome]) -> dict[str, Any]:
    changes = [outcome.golden_change for outcome in outcomes]
    return {
        "n_promoted": sum(outcome.n_promoted > 0 for outcome in outcomes),
        "mean_change": mean(changes),
        "worst_change": min(changes),
        "worst_promotion": min(outcome.worst_promotion for outcome in outcomes),
        "waiting": sorted({name for outcome in outcomes for name in outcome.waiting}),
    }


def _world(settings: Settings, beir: Path, n_questions: int) -> SimulatedLibrary:
    """Encodes the folder's passages and questions once; the questions that people ask are drawn once, too."""
    from eval.datasets.beir import load_beir
    from retriever_training.bench.simulated_library import SimulatedLibrary

    with TemporaryDirectory(prefix="nightjar-bench-") as folder, stage_progress_bars() as watch:
        work = Path(folder)
        encoder = save_and_open_base(work, settings.encoder)
        weight = settings.retrieval.lexical_weight
        return SimulatedLibrary.open(
            load_beir(beir),
            encoder,
            default_weight=weight,
            n_questions=n_questions,
            folder=work / "vectors",
            watch=watch,
        )
