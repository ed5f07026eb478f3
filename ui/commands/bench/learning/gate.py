"""`nightjar bench gate`: how often the gate promotes candidates whose true effect is known, in one night and in thirty."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from eval.gate.gate_simulation import PromotionRate, SeriesOfNights
    from eval.statistics.proportions import Proportion


def gate(
    *,
    questions: Annotated[int, typer.Option(min=30, help="Held-out questions.")] = 150,
    simulations: Annotated[
        int, typer.Option(min=1, help="Nights without an effect; with one, a fifth of them.")
    ] = 1000,
    series: Annotated[int, typer.Option(min=1, help="Series of thirty nights.")] = 200,
    seed: Annotated[int, typer.Option(help="The seed of the draw of questions.")] = 13,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Put candidates with a known effect before the gate: how often is one promoted that is no better?

    Half of the questions change by chance, as on real ones. One night goes through every rule. Thirty nights on the same
    questions go by the primary measure alone, once with all of the level each night and once as the gate shares it.

    [bold]Example[/bold]

    nightjar bench gate
    """
    from eval.gate.gate_simulation import CORRELATIONS, EFFECTS, simulate_night, simulate_series

    n_with = max(1, simulations // 5)
    with progress_bar("single nights", simulations + n_with * (len(EFFECTS) - 1), "nights") as advance:
        single = [
            simulate_night(effect, questions, simulations if effect == 0 else n_with, seed, progress=advance)
            for effect in EFFECTS
        ]
    settled = [(likeness, shares) for likeness in CORRELATIONS for shares in (False, True)]
    with progress_bar("thirty nights each", series * len(settled) * 2, "series") as advance:
        many = [
            simulate_series(
                effect, likeness, shares, n_questions=questions, n_series=series, seed=seed, progress=advance
            )
            for effect in EFFECTS[:2]
            for likeness, shares in settled
        ]
    if as_json:
        print_json(
            {
                "one_night": [asdict(outcome) for outcome in single],
                "thirty_nights": [asdict(outcome) for outcome in many],
            }
        )
    else:
        _print(single, many)


def _print(single: list[PromotionRate], many: list[SeriesOfNights]) -> None:
    print_table(
        ["true effect", "nights", "promoted", "95 % interval", "predicted by the primary test"],
        [
            [
                f"{outcome.effect:+.3f}",
                f"{outcome.share.n:,}",
                f"{outcome.share.value:.3f}",
                _interval(outcome.share),
                f"{outcome.predicted:.3f}",
            ]
            for outcome in single
        ],
        f"One night on {single[0].n_questions} held-out questions, every rule",
    )
    print_table(
        [
            "true effect",
            "likeness",
            "level of a later look",
            "promoted, a night",
            "in any of 30 nights",
            "apparent gain",
            "on locked questions",
        ],
        [
            [
                f"{outcome.effect:+.3f}",
                f"{outcome.likeness:g}",
                "its part" if outcome.shares_level else "all",
                f"{outcome.per_night.value:.4f}",
                f"{outcome.any_night.value:.2f}",
                f"{outcome.apparent:+.4f}",
                f"{outcome.locked:+.4f}",
            ]
            for outcome in many
        ],
        "Thirty nights on the same questions, the primary test alone",
    )


def _interval(share: Proportion) -> str:
    return f"{share.low:.3f} to {share.high:.3f}"
