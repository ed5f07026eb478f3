"""`nightjar calibrate`: finds on the library itself when to answer and when to decline."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, stage_progress_bars

if TYPE_CHECKING:
    from rag.app.app import App
    from retriever_training.abstention.calibrate import CalibratedThreshold
    from retriever_training.progress import ProgressReporter

log = logging.getLogger(__name__)


def calibrate(context: typer.Context, *, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Find how sure an answer must be in your library, so that few answerable questions are declined.

    It asks questions whose passages are known, with these passages and without them: people's judged questions if there
    are 50, else questions made from the library itself. A night that promotes a version does the same at its end.

    [bold]Example[/bold]

    nightjar calibrate
    """

    with opened_app(context) as app:
        app.encode_missing()
        with stage_progress_bars() as watch:
            threshold = calibrate_current_version(app, watch)
    if as_json:
        print_json(asdict(threshold))
        return
    ((who, n),) = threshold.n_questions.items()
    typer.echo(
        f"declines below a probability of {threshold.bar.least:.2f}: {100 * threshold.declined:.1f} % of {n:,} questions "
        f"of {who}, and {100 * threshold.true_decline_rate:.1f} % of them without their passages"
    )


def calibrate_current_version(app: App, watch: ProgressReporter) -> CalibratedThreshold:
    """Finds the threshold of the current version and stores it.

    Raises:
        TooLittleDataError: too few questions have a known answer.
    """
    from retriever_training.abstention.calibrate import calibrate_abstention
    from retriever_training.judgments.snapshot import load_snapshot

    people = app.settings.feedback
    evidence = load_snapshot(
        app.stores,
        trusted=people.trusted,
        max_per_person=people.max_judgments_per_person,
        quarantined=people.quarantined,
    )
    return calibrate_abstention(app.stores, evidence, watch)


def calibrate_after_night(app: App, watch: ProgressReporter) -> None:
    """Calibrates a version that was just promoted; the shipped threshold stays if there are too few questions."""
    from rag.errors import TooLittleDataError

    try:
        calibrate_current_version(app, watch)
    except TooLittleDataError as error:
        log.info("declining by the shipped threshold: %s", error)
