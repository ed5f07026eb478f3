"""What administrators see and do of nights, versions and reviews: the same for the page, the API and the tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from rag.app.app import App
from rag.database.schema import read_connection, verdict_events
from rag.database.user_tables import reviews
from rag.errors import UsageError
from rag.file_lock import ProcessLock
from rag.insights.version_disk_usage import FreedSpace, free_vectors
from rag.versions.registry import Version
from rag.versions.version_labels import SHORT_ID_LENGTH
from ui.auth.current_user import CurrentUser
from ui.background.startup import AppStartup

if TYPE_CHECKING:
    from retriever_training.inspection.doubtful_negatives import DoubtfulNegative
    from retriever_training.judgments.reviews import Review
    from retriever_training.nightly.forecast import TierForecast
    from retriever_training.nightly.sufficiency import DataSufficiency
    from retriever_training.versions.night_store import NightRecord

MAX_REASON_LENGTH = 500  # characters
ChangeMarkers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NightReadiness:
    """Whether a night could learn now, and what it would do."""

    sufficiency: DataSufficiency
    forecasts: dict[str, TierForecast]
    """Tier that is asked for → what comes of it; empty if there is too little."""


@dataclass(frozen=True, slots=True)
class RunningNight:
    """The night that runs."""

    night: NightRecord | None
    """As it is in SQL; None before it has read the judgments."""
    began_at: datetime | None
    pid: int | None
    """None if another program runs it."""


@dataclass
class TrainingAdmin:
    """Looks at an application's nights and versions, and changes them. Threads may share it."""

    opening: AppStartup
    _kept: dict[str, tuple[ChangeMarkers, Any]] = field(default_factory=dict)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _speed: float = 0.0

    # ---- looking

    def running(self) -> RunningNight | None:
        """The night that runs, whoever began it."""
        from retriever_training.versions.night_store import NightStore

        shift = self.opening.nights
        ours = shift.is_running
        if not ours and not shift.runs_elsewhere:
            return None
        newest = NightStore(self.opening.app().engine).newest(1)
        night = newest[0] if newest and newest[0].decision is None else None
        if ours:
            return RunningNight(night, shift.began_at, shift.child_pid)
        return RunningNight(night, night.started_at if night else None, None)

    def outlook(self) -> NightReadiness:
        """Counts the judgments as the night would; takes seconds in a large library, and nothing if none changed."""
        found: NightReadiness = self._once("outlook", self._outlook)
        return found

    def doubtful_negatives(self) -> list[DoubtfulNegative]:
        """The queue of doubtful negatives; as of `outlook`, and a review alone costs no second look at the library."""
        from retriever_training.inspection.doubtful_negatives import undecided_doubts
        from retriever_training.judgments.reviews import ReviewStore

        found: list[DoubtfulNegative] = self._once("doubts", _doubts)
        return undecided_doubts(found, ReviewStore(self.opening.app().engine).standing())

    # ---- nights

    def start(self, tier: str) -> int:
        """Begins a night and returns its process.

        Raises:
            BusyError: a night runs already.
            UsageError: there is no such tier.
        """
        return self.opening.nights.start_night(tier)

    # ---- versions

    def promote(self, name: str, confirmed: str, reason: str, person: CurrentUser) -> Version:
        """Makes a version answer, and takes it in; *confirmed* is its short name, typed.

        If the gate had turned it down, the stored reason says that a person overruled the gate.

        Raises:
            UsageError: the short name is another, no reason was given, or the version's files are gone.
            NotFoundError: there is no such version.
        """
        from retriever_training.versions.rejected_candidates import promotion_reason

        app = self.opening.app()
        version = app.registry.version(name)
        stored = _checked(version, confirmed, reason, person)
        app.registry.promote(version.encoder_id, promotion_reason(self.refusal(version.encoder_id), stored))
        app.refresh()
        return version

    def refusal(self, encoder_id: str) -> NightRecord | None:
        """The night whose gate turned a version down, which nobody has overruled so far."""
        from retriever_training.versions.rejected_candidates import latest_refusals

        return latest_refusals(self.opening.app().stores).get(encoder_id)

    def roll_back(self, confirmed: str, reason: str, person: CurrentUser) -> Version:
        """Makes the version before the current one answer again; as of `promote`.

        Raises:
            UsageError: there is none before, the short name is another, or no reason was given.
        """
        app = self.opening.app()
        before = app.registry.version_before_current()
        if before is None:
            raise UsageError("there is no version before the current one: promote one of those with files")
        stored = _checked(app.registry.version(before), confirmed, reason, person)
        version = app.registry.rollback(stored)
        app.refresh()
        return version

    def free(self) -> FreedSpace:
        """Frees the vectors and indexes of versions that nobody is likely to roll back to.

        Raises:
            BusyError: a night runs, whose candidate has vectors that nobody uses yet.
        """
        app = self.opening.app()
        lock = ProcessLock(app.settings.data / "night.lock", "the night")
        try:
            return free_vectors(app.engine, app.settings.data, app.registry, url=app.settings.index.url)
        finally:
            lock.release()

    # ---- reviews

    def decide_review(self, question: str, passage_id: str, decision: str, person: CurrentUser) -> Review:
        """Keeps a decision on a doubtful negative.

        Raises:
            NotFoundError: nobody asked the question, or the passage is not there.
            UsageError: the decision is none.
        """
        from retriever_training.judgments.reviews import ReviewStore

        app = self.opening.app()
        passage_id = app.library.resolve([passage_id]).get(passage_id, passage_id)
        return ReviewStore(app.engine).decide(question, passage_id, decision, person.name)

    # ----

    def _once(self, name: str, look: Callable[[App], Any]) -> Any:
        """What *look* finds, or what it found if nothing has changed since; one thread at a time looks."""
        app = self.opening.app()
        with self._looking:
            state = _state(app) if name == "outlook" else _state(app)[:-2]
            known = self._kept.get(name)
            if known is None or known[0] != state:
                known = state, look(app)
                self._kept[name] = known
            return known[1]

    def _outlook(self, app: App) -> NightReadiness:
        from retriever_training.judgments.snapshot import load_snapshot
        from retriever_training.nightly.forecast import base_passages_per_second, forecast_night
        from retriever_training.nightly.sufficiency import check_sufficiency
        from ui.background.night_plan import build_night_plan

        plan = build_night_plan(app.settings)
        evidence = load_snapshot(
            app.stores, trusted=plan.trusted, max_per_person=plan.max_per_person, quarantined=plan.quarantined
        )
        found = check_sufficiency(evidence, plan)
        if not found.is_sufficient:
            return NightReadiness(found, {})
        self._speed = self._speed or base_passages_per_second(app.stores, evidence)
        return NightReadiness(found, forecast_night(evidence, plan, found, self._speed))


def short_version_id(encoder_id: str) -> str:
    """What people type of a version to confirm it; pages show it behind the version's number.

    >>> short_version_id("0123456789ab")
    '01234567'
    """
    return encoder_id[:SHORT_ID_LENGTH]


def process_memory_bytes() -> int | None:
    """Bytes of memory that this process holds now; None if the system does not tell it this way."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _checked(version: Version, confirmed: str, reason: str, person: CurrentUser) -> str:
    """The reason as it is stored, with who gave it."""
    typed = confirmed.strip().casefold()
    if typed not in (short_version_id(version.encoder_id), version.encoder_id):
        raise UsageError(
            f"{confirmed!r} does not confirm it: type {short_version_id(version.encoder_id)!r}, the short name of the "
            "version that shall answer"
        )
    said = " ".join(reason.split())
    if not said or len(said) > MAX_REASON_LENGTH:
        raise UsageError(
            f"the reason has {len(said)} characters: write 1 to {MAX_REASON_LENGTH}, for those who look later"
        )
    return f"{said} ({person.name})"


def _doubts(app: App) -> list[DoubtfulNegative]:
    from retriever_training.inspection.doubtful_negatives import find_doubtful_negatives
    from ui.background.night_plan import build_night_plan

    return find_doubtful_negatives(app.stores, build_night_plan(app.settings))


def _state(app: App) -> ChangeMarkers:
    """Changes with everything that a night would look at, also if somebody was forgotten; reviews come last."""
    promotion = app.registry.latest_promotion().promotion_id
    counts: list[int] = []
    with read_connection(app.engine) as connection:
        for number in (verdict_events.c.event_id, reviews.c.review_id):
            counts += connection.execute(select(func.count(), func.coalesce(func.max(number), 0))).one()
    return promotion, app.library.revision(), app.library.vectors_revision(), *counts
