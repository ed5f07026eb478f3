"""`nightjar bench forgetting`: what a version, or a month of nights, costs on sets that nobody trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.bench.harness.work_folder import save_and_open_base, work_folder
from ui.commands.bench.learning.forgetting_output import plot_curves, print_forgetting
from ui.commands.console import JSON_OPTION, load_command_settings, opened_app, print_json, stage_progress_bars

if TYPE_CHECKING:
    from rag.embedding.encoder import Encoder
    from retriever_training.bench.forgetting import SetComparison, WeightedModel
    from retriever_training.bench.forgetting_nights import SimulatedNights
    from retriever_training.bench.harness.reported_set import ReportedSet
    from retriever_training.progress import ProgressReporter

FIRST_SEED = 13


def forgetting(
    context: typer.Context,
    *,
    on: Annotated[
        list[Path], typer.Option(help="A BEIR folder that was not trained on; may be repeated.", show_default=False)
    ],
    model: Annotated[Path | None, typer.Option(help="A version's folder.", show_default=False)] = None,
    version: Annotated[
        str | None,
        typer.Option(help="A version of the state directory, by the beginning of its id.", show_default=False),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="A BEIR folder whose train labels a night learns first.", show_default=False)
    ] = None,
    tier: Annotated[int, typer.Option(min=1, max=3, help="The tier of that night.")] = 1,
    nights: Annotated[int, typer.Option(min=0, help="With --train: this many tier-1 nights on simulated votes.")] = 0,
    error: Annotated[float, typer.Option(min=0, max=1, help="How often a simulated person is mistaken.")] = 0.2,
    voices: Annotated[int, typer.Option(min=1, help="How many people ask the same question.")] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="How many random seeds to repeat it with.")] = 1,
    split: Annotated[str, typer.Option(help="The split whose questions are measured.")] = "test",
    plot: Annotated[Path | None, typer.Option(help="Draw the nights there, as SVG.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Keep vectors and versions there for later runs.", show_default=False),
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure what a version forgot: nDCG@10 next to the base's on sets that it was not trained on.

    Name a version with --model or --version, or let one be trained with --train. BM25 counts on both sides as much as
    the version says. With --nights, people ask a share of the train questions each day and vote on what they are shown;
    the gate decides each night, and all sets are measured after it. The bar is −0.5 points, mean over the sets.

    [bold]Examples[/bold]

    nightjar bench forgetting --train datasets/scifact --on datasets/nfcorpus --on datasets/fiqa

    nightjar bench forgetting --train datasets/scifact --nights 30 --on datasets/fiqa --out kept --plot nights.svg

    nightjar bench forgetting --version 3f2a --on datasets/fiqa
    """
    _check(model, version, train=train, tier=tier, nights=nights, plot=plot)
    asked = _Asked(
        on=on,
        split=split,
        seeds=range(FIRST_SEED, FIRST_SEED + seeds),
        tier=tier,
        nights=nights,
        error=error,
        voices=voices,
    )
    with work_folder(out) as folder, stage_progress_bars() as watch:
        bench = _open(context, asked, train, folder, watch)
        told = bench.of_nights(train) if train and nights else bench.of_versions(context, model, version, train)
    if plot:
        from eval.report.output.svg_plots import nights_plot
        from retriever_training.bench.forgetting import MIN_MEAN_CHANGE

        title = f"tier 1, night after night on {told['trained_on']['name']}, {100 * error:g} % mistaken"
        plot.write_text(
            nights_plot(plot_curves(told), title, "night; change of served nDCG@10 over the base", MIN_MEAN_CHANGE),
            "utf-8",
        )
    if as_json:
        print_json(told)
    else:
        print_forgetting(told)


def _check(
    model: Path | None, version: str | None, train: Path | None, tier: int, nights: int, plot: Path | None
) -> None:
    from rag.errors import UsageError

    given = [name for name, value in (("--model", model), ("--version", version), ("--train", train)) if value]
    if len(given) != 1:
        raise UsageError(
            f"the version to measure is given by {' and '.join(given) or 'nothing'}: use one of --model, "
            "--version and --train"
        )
    if nights and (not train or tier != 1):
        raise UsageError(
            f"--nights {nights} runs nights of tier 1 on the questions of a folder: give --train, and no other --tier"
        )
    if plot and not nights:
        raise UsageError(f"--plot {str(plot)!r} draws nights, and there are none: give --nights")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the command line asks for."""

    on: Sequence[Path]
    split: str
    seeds: Sequence[int]
    tier: int
    nights: int
    error: float
    voices: int


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """The sets by the base, and where all that is made is kept."""

    asked: _Asked
    sets: Sequence[ReportedSet]
    own: ReportedSet | None
    """The one that is trained on."""
    encoder: Encoder
    default_weight: float
    folder: Path
    watch: ProgressReporter

    def of_versions(
        self, context: typer.Context, model: Path | None, version: str | None, train: Path | None
    ) -> dict[str, Any]:
        """One version, or one a seed."""
        from retriever_training.bench.forgetting import read_model

        if train:
            models = [self._trained(train, seed) for seed in self.asked.seeds]
        else:
            models = [read_model(model, self.default_weight) if model else _version(context, version or "")]
        found = {dataset.name: [self._beside(dataset, model) for model in models] for dataset in self.sets}
        own = [self._beside(self.own, model) for model in models] if self.own else None
        return self._told(found, own) | {
            "tier": self.asked.tier if train else None,
            "lexical_weights": [model.lexical_weight for model in models],
        }

    def of_nights(self, train: Path) -> dict[str, Any]:
        """All nights under each seed, and what is after the last."""
        from eval.datasets.beir import load_beir
        from retriever_training.bench.forgetting_nights import SimulatedUse, simulate_nights
        from retriever_training.bench.simulated_library import SimulatedLibrary
        from retriever_training.simulation.simulated_users import Behaviour

        asked = self.asked
        assert self.own is not None
        world = SimulatedLibrary.open(
            load_beir(train),
            self.encoder,
            default_weight=self.default_weight,
            n_questions=ALL_QUESTIONS,
            folder=self.folder / "vectors",
            watch=self.watch,
        )
        lives: list[SimulatedNights] = []
        for seed in asked.seeds:
            life = SimulatedUse(asked.nights, Behaviour(error=asked.error, voices=asked.voices), seed)
            advance = self.watch(f"nights, seed {seed}", asked.nights)
            lives.append(
                simulate_nights(world, self.own, elsewhere=self.sets, use=life, folder=self.folder, progress=advance)
            )
        found = {
            dataset.name: [nights_of_seed.elsewhere[dataset.name] for nights_of_seed in lives] for dataset in self.sets
        }
        nights = [
            {"seed": seed, **asdict(night), "mean_elsewhere": round(night.mean_elsewhere, 5)}
            for seed, nights_of_seed in zip(asked.seeds, lives, strict=True)
            for night in nights_of_seed.nights
        ]
        weights = [nights_of_seed.nights[-1].lexical_weight for nights_of_seed in lives]
        return self._told(found, [nights_of_seed.own for nights_of_seed in lives]) | {
            "tier": 1,
            "error": asked.error,
            "voices": asked.voices,
            "lexical_weights": weights,
            "nights": nights,
        }

    def _trained(self, train: Path, seed: int) -> WeightedModel:
        from eval.datasets.beir import load_beir
        from retriever_training.bench.forgetting import train_or_load_model
        from retriever_training.bench.harness.labelled_set import LabelledSet
        from retriever_training.bench.harness.workbench import Budget, TrainingBench, default_steps

        data = LabelledSet.of(load_beir(train), self.asked.split)
        budget = Budget(default_steps(data.n_rows, Budget(1).pairs))
        folder = self.folder / f"trained-on-{data.name}-{data.sha256[:8]}"
        folder.mkdir(exist_ok=True)
        bench = TrainingBench.open(
            data, self.encoder, budget=budget, default_weight=self.default_weight, folder=folder, watch=self.watch
        )
        return train_or_load_model(bench, self.asked.tier, seed, self.watch)

    def _beside(self, some: ReportedSet, model: WeightedModel) -> SetComparison:
        from retriever_training.bench.forgetting import measure_model

        return measure_model(
            some,
            self.encoder,
            model=model,
            default_weight=self.default_weight,
            folder=self.folder / "vectors",
            watch=self.watch,
        )

    def _told(
        self, found: Mapping[str, Sequence[SetComparison]], own: Sequence[SetComparison] | None
    ) -> dict[str, Any]:
        from retriever_training.bench.forgetting import judge_forgetting, mean_changes, summarise_set

        sets = [summarise_set(name, seeds) for name, seeds in found.items()]
        mean = mean_changes(found)
        return {
            "split": self.asked.split,
            "seeds": list(self.asked.seeds),
            "sets": sets,
            "mean": mean,
            "trained_on": summarise_set(self.own.name, own) if self.own and own else None,
            "default_weight": self.default_weight,
            "verdict": judge_forgetting(sets, mean["served"]),
        }


ALL_QUESTIONS = 1_000_000  # train questions that people ask: as many as there are


def _open(context: typer.Context, asked: _Asked, train: Path | None, folder: Path, watch: ProgressReporter) -> _Bench:
    from eval.datasets.beir import load_beir
    from retriever_training.bench.forgetting import check_not_trained_on
    from retriever_training.bench.harness.reported_set import ReportedSet

    settings = load_command_settings(context)
    encoder = save_and_open_base(folder, settings.encoder)

    def opened(beir: Path) -> ReportedSet:
        return ReportedSet.open(load_beir(beir), asked.split, encoder, folder / "vectors", watch)

    own = opened(train) if train else None
    sets = [opened(beir) for beir in asked.on]
    if own:
        check_not_trained_on(sets, own)
    return _Bench(
        asked=asked,
        sets=sets,
        own=own,
        encoder=encoder,
        default_weight=settings.retrieval.lexical_weight,
        folder=folder,
        watch=watch,
    )


def _version(context: typer.Context, name: str) -> WeightedModel:
    from retriever_training.bench.forgetting import WeightedModel

    with opened_app(context) as app:
        found = app.registry.version(name)
        return WeightedModel(found.folder, found.lexical_weight)
