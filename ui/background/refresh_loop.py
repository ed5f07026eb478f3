"""What runs beside the questions: taking in promotions and documents, encoding what has no vector, counting days."""

from __future__ import annotations

import logging
import threading
import time

from rag.app.app import App
from ui.background.startup import Opening
from ui.background.usage_cache import DaysOver

log = logging.getLogger(__name__)

EVERY_S = 1.0  # between two looks at the database: a promotion is seen within two seconds
STAYS_S = 20.0  # an `ingest` encodes what it brings; what is still missing after this was left behind


class Keeper:
    """A thread that keeps what answers up to date, from the moment it answers until it is stopped."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._stop = threading.Event()
        self._leftovers = Leftovers()
        self._days = DaysOver()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends it, after what it is at."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            if self._opening.is_over():
                self._look()

    def _look(self) -> None:
        try:
            app = self._opening.app()
            app.refresh()
            self._leftovers.look(app)
            self._days.look(app.engine)
        except Exception:
            log.exception("the version that answered goes on answering")


class Leftovers:
    """Passages that nobody encoded: an ingest that was killed, or a version that came while one ran."""

    def __init__(self, stays_s: float = STAYS_S) -> None:
        self._stays_s = stays_s
        self._state: tuple[int, int, int] | None = None
        self._since = 0.0
        self._looked = False

    def look(self, app: App) -> None:
        """Encodes what is missing where nothing has changed for a while; looks once for each state of the library."""
        if app.live.state != self._state:
            self._state, self._since, self._looked = app.live.state, time.monotonic(), False
        elif not self._looked and time.monotonic() - self._since >= self._stays_s and not app.jobs.are_running():
            self._looked = True
            n_encoded = app.encode_missing()
            if n_encoded:
                log.info("encoded %d passages that had no vector", n_encoded)
