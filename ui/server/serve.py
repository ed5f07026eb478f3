"""The server process: opens the state directory, serves pages and API, stays up to date, runs the nights."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rag.app.app import App, open_app
from rag.errors import BusyError, UsageError
from rag.file_lock import ProcessLock
from rag.settings import Settings
from ui.auth.setup import must_sign_in, open_auth_stack
from ui.background.ingest_queue import IngestQueue
from ui.background.night_scheduler import NightScheduler, nightly_command
from ui.background.refresh_loop import RefreshThread
from ui.background.startup import AppStartup
from ui.middleware.rate_limit import RateLimiter

PrepareApp = Callable[[App], None]

SHUTDOWN_GRACE_S = 3  # how long answers under way may go on when the application stops


def serve(
    settings: Settings,
    *,
    config: Path | None = None,
    prepare_app: PrepareApp = lambda app: None,
    announce: Callable[[str], None] = lambda address: None,
) -> None:
    """Serves until Ctrl-C or SIGTERM.

    *prepare_app* may change the application before it answers; *announce* is called with the address once it does.

    Raises:
        UsageError: people have to sign in, and there is no administrator yet.
        BusyError: another process serves this state directory, or uses the port.
    """
    stop = _stop_signal()
    lock = ProcessLock(settings.data / "serve.lock", "the application of this state directory")
    try:
        with serve_in_thread(settings, config=config, prepare=prepare_app) as server:
            if server.wait_until_ready(stop):
                announce(server.address)
                if settings.schedule.enabled:
                    server.opening.nights.start()
                server.wait(stop)
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that runs in threads of this process."""

    address: str
    opening: AppStartup
    thread: threading.Thread

    def wait_until_ready(self, stop: threading.Event) -> bool:
        """Waits until questions are answered; False if *stop* was set first. Raises what opening raised."""
        while not self.opening.is_over():
            if stop.wait(0.05):
                return False
        self.opening.app()
        return True

    def wait(self, stop: threading.Event) -> None:
        """Waits until *stop* is set or the server has ended."""
        while self.thread.is_alive() and not stop.wait(0.5):
            pass


@contextmanager
def serve_in_thread(
    settings: Settings, *, config: Path | None = None, prepare: PrepareApp = lambda app: None
) -> Iterator[RunningServer]:
    """Opens the state directory and serves it until the block ends; the pages are there while it opens.

    Nights follow the settings file *config*; none runs by schedule unless the caller starts the schedule.

    Raises:
        UsageError: people have to sign in, and there is no administrator yet.
        BusyError: another process uses the port.
    """
    with (
        open_auth_stack(settings) as auth_stack,
        listening_socket(settings.server.host, settings.server.port) as listener,
    ):
        nights = NightScheduler(settings.schedule.at, nightly_command(settings.data, config), settings.data)
        opening = AppStartup(lambda: _opened(settings, prepare), nights)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
        from ui.server.uvicorn_server import (
            create_server,
        )  # heavy to import: meanwhile the application opens in its own thread

        server = create_server(opening, settings, grace_s=SHUTDOWN_GRACE_S, auth_stack=auth_stack)
        thread = threading.Thread(target=server.run, args=([listener],), name="server", daemon=True)
        refresh, ingests = RefreshThread(opening), IngestQueue(opening)
        thread.start()
        try:
            yield RunningServer(listener_address(listener), opening, thread)
        finally:
            nights.stop()
            ingests.stop()
            refresh.stop()
            server.should_exit = True
            thread.join(SHUTDOWN_GRACE_S + 2)
            opening.close()


def _opened(settings: Settings, prepare: PrepareApp) -> App:
    app = open_app(settings, serve=True)
    prepare(app)
    if must_sign_in(settings):
        app.answerer.admit = RateLimiter("questions", settings.limits.asks_per_minute).take
        app.feedback.admit = RateLimiter("verdicts", settings.limits.votes_per_minute).take
    return app


# ---- the address


def listening_socket(host: str, port: int) -> socket.socket:
    """Returns a socket that already listens, so that a taken port is known before anything opens; port 0 is any free one.

    Raises:
        BusyError: the port is in use.
        UsageError: the server can't listen on the host.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BusyError(
                f"port {port} of {host} is in use: stop what uses it, or choose another with --port"
            ) from error
        raise UsageError(f"can't listen on {host!r}, port {port} ({error}): check --host and --port") from error


def listener_address(listener: socket.socket) -> str:
    """Returns the URL for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _stop_signal() -> threading.Event:
    """Returns an event that the first Ctrl-C or SIGTERM sets; the second one ends the process as usual."""
    stop = threading.Event()

    def request_stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request_stop)
    return stop
