"""A server of a benchmark's own, in a process of its own, over a folder of documents."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S, STOP_S = 180.0, 30.0


@contextmanager
def running_server(documents: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a server that answers, until the block ends.

    Raises:
        NightjarError: it did not start.
    """
    from rag.errors import NightjarError

    command = [
        sys.executable,
        "-m",
        "ui",
        "--data",
        str(folder / "data"),
        "serve",
        "--port",
        "0",
        "--no-schedule",
        "--sample",
        str(documents),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTJAR")}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as server,
    ):
        try:
            assert server.stdout is not None
            said = server.stdout.readline()  # once it answers
            if "http" not in said:
                raise NightjarError(f"the server did not start: {(folder / 'log').read_text()[-500:]}")
            address = said[said.index("http") :].split()[0]
            _until_ready(address)
            yield address, server.pid
        finally:
            server.terminate()
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()


def _until_ready(address: str) -> None:
    """Waits for the index: until then search is exact, and that is not what is measured."""
    import httpx

    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if httpx.get(f"{address}/readyz", timeout=30, trust_env=False).json().get("index", {}).get("state") == "ready":
            return
        time.sleep(0.5)
