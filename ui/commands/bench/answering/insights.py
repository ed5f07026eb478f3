"""`nightjar bench insights`: how long the page Insights takes over months of questions and votes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from ui.commands.bench.harness.work_folder import work_folder
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from rag.app.app import App
    from rag.settings import Settings

LIMIT_S = 3.0  # from asking for the page to what it shows first, in both of its parts
N_SYNTHETIC_FILES = 40  # of made-up words; votes are looked up in them
STEP_LABELS = {
    "count_days": "days that are over are counted, once, in the background",
    "numbers": "numbers over time, the first look",
    "numbers_again": "numbers over time, the second look",
    "ranks": "what votes did, the first look: ranks",
    "weighed": "what votes did, the first look: which votes count",
    "votes_again": "what votes did, the second look",
}


@dataclass(frozen=True, slots=True)
class StepTime:
    """What one step took, from its beginning."""

    seconds: float
    cpu_s: float
    """The processor's time for it: what tells more if others use the machine as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightsBench:
    """The page's parts, one after the other."""

    n_turns: int
    n_days: int
    n_told: int
    """Questions that the page told of, among the last 90 days and the 90 before."""
    n_verdicts: int
    megabytes: int
    """Of the database."""
    steps: dict[str, StepTime]
    """By the keys of NAMES."""

    @property
    def is_in_time(self) -> bool:
        """Whether both parts showed something within LIMIT_S."""
        return max(self.steps["numbers"].seconds, self.steps["ranks"].seconds) < LIMIT_S


def insights(
    context: typer.Context,
    *,
    turns: Annotated[
        int, typer.Option(min=1, help="Made-up questions with answers; one in ten is judged.")
    ] = 1_000_000,
    days: Annotated[int, typer.Option(min=1, help="The days that they were asked on, today the last.")] = 90,
    keep: Annotated[
        Path | None, typer.Option(help="Make the library there, or use the one that is there.", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Time the page Insights over a large made-up history: numbers over time, and what votes did, first and second look.

    A million turns take some minutes to make up, and 3.2 GB of disk. The page asks the database for 180 days: 90, and as
    many before. A serving application counts days that are over in the background, here it is timed by itself. Exit code
    1 if a first look took 3 s or longer. Your library is not touched.

    [bold]Examples[/bold]

    nightjar bench insights

    nightjar bench insights --turns 100000 --keep kept --json
    """
    with work_folder(keep) as folder:
        context.obj["data"] = folder / "data"
        settings = load_command_settings(context, database={"url": f"sqlite:///{quote(str(folder / 'nightjar.db'))}"})
        with (
            _filled(settings, folder, turns, days) as app,
            progress_bar("looking", len(STEP_LABELS), "looks") as advance,
        ):
            measured = measure_insights_page(app, turns, days, advance)
    if as_json:
        print_json(asdict(measured) | {"is_in_time": measured.is_in_time, "limit_s": LIMIT_S})
    else:
        _print(measured)
    if not measured.is_in_time:
        raise typer.Exit(1)


@contextmanager
def _filled(settings: Settings, folder: Path, n_turns: int, days: int) -> Iterator[App]:
    """The application over a library with this many turns.

    Raises:
        UsageError: the library that is there has another number.
    """
    from eval.bench.workloads.synthetic_files import write_markdown
    from eval.bench.workloads.synthetic_turns import fill_turns
    from rag.app.app import open_app
    from rag.errors import UsageError
    from rag.ingestion.find_files import find_files

    app = open_app(settings)
    try:
        there = app.feedback.n_turns()
        if there not in (0, n_turns):
            raise UsageError(
                f"{str(folder)!r} holds {there:,} turns, not {n_turns:,}: give another folder to --keep, or remove it"
            )
        if not there:
            app.ingest(find_files([write_markdown(folder / "files", N_SYNTHETIC_FILES)]))
            with progress_bar("making up turns", n_turns, "turns") as advance:
                fill_turns(
                    app.engine,
                    app.lexical().passage_ids,
                    app.current().encoder_id,
                    n_turns,
                    days=days,
                    progress=advance,
                )
        yield app
    finally:
        app.close()


def measure_insights_page(
    app: App, n_turns: int, days: int, progress: Callable[[int], None] = lambda n: None
) -> InsightsBench:
    """Looks at both parts of the page twice, at 90 days and at everybody's votes, as a serving application does."""
    from rag.feedback.daily_counts import count_days, discard_counts, last_closed_day
    from rag.insights.usage_over_time import days_covered, to_span
    from rag.records import utc_now
    from ui.actions.vote_effects import VoteEffectsView
    from ui.background.usage_cache import UsageCache

    app.refresh()  # a serving application has opened what answers long before
    over, span = days_covered(last_closed_day(utc_now())), to_span(90)
    with app.engine.begin() as connection:
        discard_counts(connection, over)  # else a run before this one has counted them
    usage, view, took = UsageCache(), VoteEffectsView(app), dict[str, StepTime]()
    for name, work in (
        ("count_days", lambda: list(count_days(app.engine, over))),
        ("numbers", lambda: usage.over_time(app.engine, span)),
        ("numbers_again", lambda: usage.over_time(app.engine, span)),
    ):
        elapsed = _stopwatch()
        work()
        took[name] = elapsed()
        progress(1)
    elapsed = _stopwatch()
    view.look(None, on_unweighed=lambda summary: took.update(ranks=elapsed()))
    weighed = elapsed()
    took.setdefault("ranks", weighed)  # few votes are weighed at once
    took["weighed"] = weighed
    elapsed = _stopwatch()
    view.look(None)
    took["votes_again"] = elapsed()
    progress(3)
    file = Path(str(app.engine.url.database))
    n_bytes = sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))
    told = usage.over_time(app.engine, span)
    n_told = told.whole.n_asked + told.before.n_asked
    return InsightsBench(
        n_turns=n_turns,
        n_days=days,
        n_told=n_told,
        n_verdicts=len(app.feedback.standing()),
        megabytes=round(n_bytes / 1e6),
        steps=took,
    )


def _stopwatch() -> Callable[[], StepTime]:
    """Starts a stopwatch; the function that it returns reads it."""
    started, cpu_started = time.perf_counter(), time.process_time()
    return lambda: StepTime(
        seconds=round(time.perf_counter() - started, 3), cpu_s=round(time.process_time() - cpu_started, 3)
    )


def _print(measured: InsightsBench) -> None:
    title = (
        f"{measured.n_turns:,} questions of {measured.n_days} days, {measured.n_verdicts:,} verdicts, "
        f"{measured.megabytes:,} MB"
    )
    rows = [
        [label, f"{measured.steps[name].seconds:.2f}", f"{measured.steps[name].cpu_s:.2f}"]
        for name, label in STEP_LABELS.items()
    ]
    print_table(["what", "seconds", "of CPU"], rows, title)
    typer.echo(
        f"Something to see within {LIMIT_S:g} s in both parts of the page: {'yes' if measured.is_in_time else 'no'}."
    )
