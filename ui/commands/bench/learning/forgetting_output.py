"""What `nightjar bench forgetting` found, for people: tables, a sentence, and the lines of a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from ui.commands.console import print_table

if TYPE_CHECKING:
    from eval.report.output.svg_plots import Curve

RANKINGS = ("served", "dense", "own_weights")


def print_forgetting(told: Mapping[str, Any]) -> None:
    """The nights, if there were any, then what was forgotten, set by set."""
    if "nights" in told:
        _print_nights(told["nights"])
    of_set = told["trained_on"]
    rows = [_row(f"{of_set['name']} (trained on)", of_set)] if of_set else []
    rows += [_row(dataset["name"], dataset) for dataset in told["sets"]]
    mean = told["mean"]
    rows.append(["mean, not trained on", "", "", "", *(_change(mean[side]) for side in RANKINGS)])
    columns = ["set", "questions", "base", "version", "served", "dense", "each at its own weight"]
    weights = ", ".join(f"{weight:g}" for weight in dict.fromkeys(told["lexical_weights"]))
    title = f"nDCG@10 on {told['split']} questions, BM25 at {weights} on both sides; changes in points"
    print_table(columns, rows, title)
    typer.echo(_verdict(told))


def _row(name: str, one: Mapping[str, Any]) -> list[str]:
    served = one["served"]
    return [
        name,
        f"{one['n_questions']:,}",
        f"{served['base']:.4f}",
        f"{served['version']:.4f}",
        *(_change(one[side]) for side in RANKINGS),
    ]


def _change(one: Mapping[str, float]) -> str:
    """In points, with its interval."""
    return f"{100 * one['difference']:+.2f} ({100 * one['low']:+.2f} to {100 * one['high']:+.2f})"


def _verdict(told: Mapping[str, Any]) -> str:
    said = told["verdict"]
    name = "Nothing forgotten" if said["holds"] else "Forgotten"
    return (
        f"{name}: {_change(told['mean']['served'])} points served, mean over {len(told['sets'])} sets, where the bar "
        f"is {100 * said['bar']:+.1f}; worst of them {said['worst_set']} ({100 * said['worst']:+.2f}). With each side at "
        f"its own weight of BM25, as people would see it: {_change(told['mean']['own_weights'])}."
    )


def _print_nights(nights: Sequence[Mapping[str, Any]]) -> None:
    rows = []
    for number in sorted({night["night"] for night in nights}):
        some = [night for night in nights if night["night"] == number]
        worst = [min(night["elsewhere"].items(), key=lambda pair: pair[1]) for night in some]
        name, least = min(worst, key=lambda pair: pair[1])
        promoted = sum(night["decision"] == "promoted" for night in some)
        rows.append(
            [
                str(number),
                f"{_mean(some, 'n_asked'):,.0f}",
                f"{_mean(some, 'n_votes'):,.0f}",
                f"{promoted} of {len(some)}",
                *(f"{100 * _mean(some, key):+.2f}" for key in ("own", "mean_elsewhere")),
                f"{100 * least:+.2f} ({name})",
            ]
        )
    columns = ["night", "questions", "votes", "promoted", "own set", "mean elsewhere", "worst elsewhere"]
    print_table(columns, rows, "what answers after each night: change of served nDCG@10 over the base, in points")


def _mean(some: Sequence[Mapping[str, Any]], key: str) -> float:
    return sum(float(night[key]) for night in some) / len(some)


def plot_curves(told: Mapping[str, Any]) -> list[Curve]:
    """The trained set, the mean of the others, and each of them; mean over the seeds."""
    from eval.report.output.svg_plots import Curve

    numbers = sorted({night["night"] for night in told["nights"]})
    by_night = [[night for night in told["nights"] if night["night"] == number] for number in numbers]
    pale = [
        Curve(
            dataset["name"],
            [
                sum(nights_of_seed["elsewhere"][dataset["name"]] for nights_of_seed in nights) / len(nights)
                for nights in by_night
            ],
            "pale",
        )
        for dataset in told["sets"]
    ]
    return [
        *pale,
        Curve("mean elsewhere", [_mean(nights, "mean_elsewhere") for nights in by_night], "theirs"),
        Curve(told["trained_on"]["name"], [_mean(nights, "own") for nights in by_night]),
    ]
