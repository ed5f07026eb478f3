"""Opens the state directory in the background, so that the pages are there while the encoder loads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from rag.app.app import App
from rag.errors import BusyError, UsageError
from ui.background.night_scheduler import NightScheduler

START_TIMEOUT_S = 60.0  # how long a question waits for the start


class AppStartup:
    """An `App` that is or will soon be open, and the scheduler of its nights. Threads may share it."""

    def __init__(self, open_: Callable[[], App], nights: NightScheduler | None = None) -> None:
        self._nights = nights
        self._opened: Future[App] = Future()
        threading.Thread(target=self._run, args=(open_,), name="opening", daemon=True).start()

    def app(self, timeout_s: float = START_TIMEOUT_S) -> App:
        """Returns the application once it answers questions, or raises the error of opening it.

        Raises:
            BusyError: it does not answer within *timeout_s*.
        """
        try:
            return self._opened.result(timeout_s)
        except TimeoutError as error:
            raise BusyError("Nightjar is still starting: try again in a few seconds") from error

    @property
    def nights(self) -> NightScheduler:
        """The scheduler of this application's nights.

        Raises:
            UsageError: the application runs no nights.
        """
        if self._nights is None:
            raise UsageError('this application runs no nights: run "nightjar nightly" alongside it')
        return self._nights

    def is_over(self) -> bool:
        """Whether questions are answered now, or opening has failed."""
        return self._opened.done()

    def close(self, timeout_s: float = 3.0) -> None:
        """Closes the application; if it is still opening after *timeout_s*, the end of the process closes it."""
        try:
            failed = self._opened.exception(timeout_s)
        except TimeoutError:
            return
        if failed is None:
            self._opened.result().close()

    def _run(self, open_: Callable[[], App]) -> None:
        try:
            app = open_()
            app.refresh()
            _ = app.answerer  # made here, so that the first question need not wait for it
            self._opened.set_result(app)
        except BaseException as error:  # noqa: BLE001 - handed to everyone who asks for the application
            self._opened.set_exception(error)
