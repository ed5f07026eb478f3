"""What runs next to the questions: taking in promotions and documents, encoding what has no vector, counting days."""

from __future__ import annotations

import logging
import threading
import time

from rag.app.app import App
from ui.background.startup import AppStartup
from ui.background.usage_cache import PastDayCounter

log = logging.getLogger(__name__)

POLL_S = 1.0  # between two looks at the database: a promotion is seen within two seconds
BACKFILL_DELAY_S = 20.0  # an `ingest` encodes what it brings; what is still missing after this was left behind


class RefreshThread:
    """A thread that keeps what answers up to date, from the moment it answers until it is stopped."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        self._stop = threading.Event()
        self._leftovers = MissingVectorBackfill()
        self._days = PastDayCounter()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends it, after what it is at."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
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


class MissingVectorBackfill:
    """Passages that nobody encoded: an ingest that was killed, or a version that came while one ran."""

    def __init__(self, stays_s: float = BACKFILL_DELAY_S) -> None:
        self._stays_s = stays_s
        self._state: tuple[int, int, int] | None = None
        self._since = 0.0
        self._looked = False

    def look(self, app: App) -> None:
        """Encodes what is missing if nothing has changed for a while; looks once for each state of the library."""
        if app.active_retriever.state != self._state:
            self._state, self._since, self._looked = app.active_retriever.state, time.monotonic(), False
        elif not self._looked and time.monotonic() - self._since >= self._stays_s and not app.jobs.is_any_running():
            self._looked = True
            n_encoded = app.encode_missing()
            if n_encoded:
                log.info("encoded %d passages that had no vector", n_encoded)
