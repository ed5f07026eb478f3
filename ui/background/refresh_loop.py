"""What runs alongside the questions: taking in promotions and documents, encoding passages without vectors, counting days."""

from __future__ import annotations

import logging
import threading
import time

from rag.app.app import App
from ui.background.startup import AppStartup
from ui.background.usage_cache import PastDayCounter

log = logging.getLogger(__name__)

POLL_S = 1.0  # how often the database is checked: a promotion is seen within two seconds
BACKFILL_DELAY_S = 20.0  # an ingest encodes its passages; a vector that is still missing after this was left behind


class RefreshThread:
    """A thread that keeps the application up to date, from the moment it answers until it is stopped."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        self._stop = threading.Event()
        self._backfill = MissingVectorBackfill()
        self._days = PastDayCounter()
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends the thread after its current work."""
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
            self._backfill.run(app)
            self._days.count_some(app.engine)
        except Exception:
            log.exception("the application could not be refreshed: the same version goes on answering")


class MissingVectorBackfill:
    """Encodes passages that were left without vectors: by a killed ingest, or by a promotion while an ingest ran."""

    def __init__(self, delay_s: float = BACKFILL_DELAY_S) -> None:
        self._delay_s = delay_s
        self._state: tuple[int, int, int] | None = None
        self._since = 0.0
        self._is_done = False

    def run(self, app: App) -> None:
        """Encodes what is missing if nothing has changed for a while; once for each state of the library."""
        if app.active_retriever.state != self._state:
            self._state, self._since, self._is_done = app.active_retriever.state, time.monotonic(), False
        elif not self._is_done and time.monotonic() - self._since >= self._delay_s and not app.jobs.is_any_running():
            self._is_done = True
            n_encoded = app.encode_missing()
            if n_encoded:
                log.info("encoded %d passages that had no vector", n_encoded)
