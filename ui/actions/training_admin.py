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
from rag.database.schema import reading, verdict_events
from rag.database.user_tables import reviews
from rag.errors import UsageError
from rag.file_lock import FileLock
from rag.insights.version_disk_usage import Freed, free_vectors
from rag.versions.registry import Version
from rag.versions.version_labels import SHORT_ID
from ui.auth.current_user import Person
from ui.background.startup import Opening

if TYPE_CHECKING:
    from retriever_training.inspection.doubtful_negatives import Doubt
    from retriever_training.judgments.reviews import Review
    from retriever_training.nightly.forecast import Foreseen
    from retriever_training.nightly.sufficiency import Enough
    from retriever_training.versions.night_store import Night

MAX_REASON = 500  # characters
State = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether a night could learn now, and what it would do."""

    enough: Enough
    foreseen: dict[str, Foreseen]
    """Tier that is asked for → what comes of it; empty where there is too little."""


@dataclass(frozen=True, slots=True)
class Running:
    """The night that runs."""

    night: Night | None
    """As it stands in SQL; None before it has read the judgments."""
    began_at: datetime | None
    pid: int | None
    """None where another program runs it."""


@dataclass
class TrainingRoom:
    """Looks at an application's nights and versions, and changes them. Threads may share it."""

    opening: Opening
    _kept: dict[str, tuple[State, Any]] = field(default_factory=dict)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _speed: float = 0.0

    # ---- looking

    def running(self) -> Running | None:
        """The night that runs, whoever began it."""
        from retriever_training.versions.night_store import Nights

        shift = self.opening.nights
        ours = shift.is_running
        if not ours and not shift.runs_elsewhere:
            return None
        newest = Nights(self.opening.app().engine).newest(1)
        night = newest[0] if newest and newest[0].decision is None else None
        if ours:
            return Running(night, shift.began_at, shift.child_pid)
        return Running(night, night.started_at if night else None, None)

    def outlook(self) -> Outlook:
        """Counts the judgments as the night would; takes seconds in a large library, and nothing where none changed."""
        found: Outlook = self._once("outlook", self._outlook)
        return found

    def doubts(self) -> list[Doubt]:
        """The queue of doubtful negatives; as of `outlook`, and a review alone costs no second look at the library."""
        from retriever_training.inspection.doubtful_negatives import undecided
        from retriever_training.judgments.reviews import Reviews

        found: list[Doubt] = self._once("doubts", _doubts)
        return undecided(found, Reviews(self.opening.app().engine).standing())

    # ---- nights

    def start(self, tier: str) -> int:
        """Begins a night and returns its process.

        Raises:
            BusyError: a night runs already.
            UsageError: there is no such tier.
        """
        return self.opening.nights.start_now(tier)

    # ---- versions

    def promote(self, name: str, confirmed: str, reason: str, person: Person) -> Version:
        """Makes a version answer, and takes it in; *confirmed* is its short name, typed.

        Where the gate had turned it down, the stored reason says that a person overruled the gate.

        Raises:
            UsageError: the short name is another, no reason was given, or the version's files are gone.
            NotFoundError: there is no such version.
        """
        from retriever_training.versions.rejected_candidates import reason_against

        app = self.opening.app()
        version = app.registry.version(name)
        stored = _checked(version, confirmed, reason, person)
        app.registry.promote(version.encoder_id, reason_against(self.refusal(version.encoder_id), stored))
        app.refresh()
        return version

    def refusal(self, encoder_id: str) -> Night | None:
        """The night whose gate turned a version down, which nobody has overruled so far."""
        from retriever_training.versions.rejected_candidates import refusals

        return refusals(self.opening.app()).get(encoder_id)

    def roll_back(self, confirmed: str, reason: str, person: Person) -> Version:
        """Makes the version before the current one answer again; as of `promote`.

        Raises:
            UsageError: there is none before, the short name is another, or no reason was given.
        """
        app = self.opening.app()
        before = app.registry.before_current()
        if before is None:
            raise UsageError("there is no version before the current one: promote one of those with files")
        stored = _checked(app.registry.version(before), confirmed, reason, person)
        version = app.registry.rollback(stored)
        app.refresh()
        return version

    def free(self) -> Freed:
        """Frees the vectors and indexes of versions that nobody is likely to roll back to.

        Raises:
            BusyError: a night runs, whose candidate has vectors that nobody uses yet.
        """
        app = self.opening.app()
        lock = FileLock(app.settings.data / "night.lock", "the night")
        try:
            return free_vectors(app.engine, app.settings.data, app.registry, url=app.settings.index.url)
        finally:
            lock.release()

    # ---- reviews

    def review(self, question: str, passage_id: str, decision: str, person: Person) -> Review:
        """Keeps a decision on a doubtful negative.

        Raises:
            NotFoundError: nobody asked the question, or the passage is not there.
            UsageError: the decision is none.
        """
        from retriever_training.judgments.reviews import Reviews

        app = self.opening.app()
        passage_id = app.library.resolve([passage_id]).get(passage_id, passage_id)
        return Reviews(app.engine).decide(question, passage_id, decision, person.name)

    # ----

    def _once(self, name: str, look: Callable[[App], Any]) -> Any:
        """What *look* finds, or what it found where nothing has changed since; one thread at a time looks."""
        app = self.opening.app()
        with self._looking:
            state = _state(app) if name == "outlook" else _state(app)[:-2]
            known = self._kept.get(name)
            if known is None or known[0] != state:
                known = state, look(app)
                self._kept[name] = known
            return known[1]

    def _outlook(self, app: App) -> Outlook:
        from retriever_training.judgments.snapshot import gather
        from retriever_training.nightly.forecast import foresee, speed
        from retriever_training.nightly.sufficiency import enough
        from ui.background.night_plan import plan_of

        plan = plan_of(app.settings)
        evidence = gather(app, trusted=plan.trusted, max_per_person=plan.max_per_person, quarantined=plan.quarantined)
        found = enough(evidence, plan)
        if not found.is_enough:
            return Outlook(found, {})
        self._speed = self._speed or speed(app, evidence)
        return Outlook(found, foresee(evidence, plan, found, self._speed))


def short(encoder_id: str) -> str:
    """What people type of a version to confirm it; pages show it behind the version's number.

    >>> short("0123456789ab")
    '01234567'
    """
    return encoder_id[:SHORT_ID]


def memory_of_process() -> int | None:
    """Bytes of memory that this process holds now; None where the system does not tell it this way."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _checked(version: Version, confirmed: str, reason: str, person: Person) -> str:
    """The reason as it is stored, with who gave it."""
    typed = confirmed.strip().casefold()
    if typed not in (short(version.encoder_id), version.encoder_id):
        raise UsageError(f"{confirmed!r} does not confirm it: type {short(version.encoder_id)!r}, the short name of the "
                         "version that shall answer")  # fmt: skip
    said = " ".join(reason.split())
    if not said or len(said) > MAX_REASON:
        raise UsageError(f"the reason has {len(said)} characters: write 1 to {MAX_REASON}, for those who look later")
    return f"{said} ({person.name})"


def _doubts(app: App) -> list[Doubt]:
    from retriever_training.inspection.doubtful_negatives import find_doubts
    from ui.background.night_plan import plan_of

    return find_doubts(app, plan_of(app.settings))


def _state(app: App) -> State:
    """Changes with everything that a night would look at, also where somebody was forgotten; reviews come last."""
    promotion = app.registry.latest_promotion().promotion_id
    counts: list[int] = []
    with reading(app.engine) as connection:
        for number in (verdict_events.c.event_id, reviews.c.review_id):
            counts += connection.execute(select(func.count(), func.coalesce(func.max(number), 0))).one()
    return promotion, app.library.revision(), app.library.vectors_revision(), *counts
