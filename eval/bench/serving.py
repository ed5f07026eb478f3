"""Asks a running server at a steady pace: how long answers take, which fail, and when the version changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from httpx import Client

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingBench:
    """What one client saw."""

    n_requests: int
    failures: tuple[str, ...]
    """What went wrong, one sentence a request."""
    versions: tuple[str, ...]
    """The versions that answered, in order; two of them are one switch."""
    p50_ms: float | None
    """None, like the two below, if no request was answered."""
    p95_ms: float | None
    max_ms: float | None


def measure_serving(
    url: str,
    questions: Sequence[str],
    *,
    seconds: float,
    per_second: float = 2.0,
    progress: Callable[[int], None] = lambda n: None,
) -> ServingBench:
    """Asks `url`/api/search one question after the other, at a steady pace, and never two at a time.

    A time is that of the whole request, as a client sees it; a request that failed has none.
    """
    from httpx import Client, HTTPError

    n_requests = round(seconds * per_second)
    times: list[float] = []
    failures: list[str] = []
    versions: list[str] = []
    started = time.monotonic()
    with Client(base_url=url, timeout=TIMEOUT_S) as client:
        for number in range(n_requests):
            time.sleep(max(0.0, started + number / per_second - time.monotonic()))
            asked = time.perf_counter()
            try:
                version = _ask(client, questions[number % len(questions)])
            except (HTTPError, ValueError, KeyError) as error:
                failures.append(f"request {number + 1}: {error}")
            else:
                times.append(1000 * (time.perf_counter() - asked))
                if not versions or versions[-1] != version:
                    versions.append(version)
            progress(1)
    p50, p95, largest = np.percentile(times, [50, 95, 100]).tolist() if times else (None, None, None)
    return ServingBench(
        n_requests=n_requests,
        failures=tuple(failures),
        versions=tuple(versions),
        p50_ms=p50,
        p95_ms=p95,
        max_ms=largest,
    )


def _ask(client: Client, question: str) -> str:
    """Which version answered.

    Raises:
        ValueError: nothing was found.
    """
    found = client.get("/api/search", params={"q": question, "k": 5}).raise_for_status().json()
    if not found["hits"]:
        raise ValueError(f"nothing was found for {question!r}")
    return str(found["encoder_id"])
