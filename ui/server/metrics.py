"""/metrics, for Prometheus: requests counted as they pass, and figures from the database whenever it is asked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select

from rag.app.app import App
from rag.database.schema import documents, nights, passages, promotions, read_connection, turns, verdict_events
from rag.feedback.feedback_store import WITHDRAWN_VERDICT
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.middleware.security_headers import AsgiApp, AsgiMessage, AsgiReceive, AsgiSend

LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60)  # seconds
API_PREFIXES = ("/api/", "/v1/", "/livez", "/readyz", "/metrics", "/mcp")
PAGE_ROUTE = "page"  # all of Gradio's routes under one name; their streams stay open as long as a browser tab


def add_metrics_route(api: FastAPI, opening: AppStartup) -> None:
    """Counts requests from now on, and adds the route that reports them."""
    registry = CollectorRegistry()
    api.add_middleware(RequestMetricsMiddleware, registry=registry)
    registry.register(DatabaseCollector(opening))

    @api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics(request: Request) -> Response:
        """Counts and times for Prometheus; for administrators."""
        current_user(request).require_role("administrator")
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class RequestMetricsMiddleware:
    """An ASGI application around another one, whose requests it counts and times by route."""

    def __init__(self, app: AsgiApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._n = Counter(
            "rag_requests_total", "Requests, by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "rag_request_seconds",
            "From a request to the end of its answer, without the pages.",
            ["route"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Passes the request on, and records its status and time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def send_and_note_status(message: AsgiMessage) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            route = route_label(getattr(scope.get("route"), "path", ""))
            self._n.labels(route, str(status)).inc()
            if route != PAGE_ROUTE:
                self._seconds.labels(route).observe(time.perf_counter() - started)


def route_label(path: str) -> str:
    """Returns the path of a route of the interface, which holds no id, or one word for all pages.

    >>> route_label("/api/passages/{passage_id}"), route_label("/gradio_api/queue/join"), route_label("")
    ('/api/passages/{passage_id}', 'page', 'page')
    """
    return path if path.startswith(API_PREFIXES) else PAGE_ROUTE


class DatabaseCollector(Collector):
    """Reports what all processes did, from the database: right after a restart, too."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening

    def describe(self) -> Iterable[Metric]:
        """Returns nothing: it is called on registration, when the application may still be opening."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics, counted now; none while the application opens."""
        if not self._opening.is_over():
            return
        app = self._opening.app()
        with read_connection(app.engine) as connection:
            yield from _turn_metrics(connection)
            yield from _verdict_metrics(connection)
            yield from _library_metrics(connection)
            yield from _night_metrics(connection)
        yield from _serving_metrics(app)


def _turn_metrics(connection: Connection) -> Iterator[Metric]:
    n_asked = CounterMetricFamily("rag_turns", "Questions that were answered or declined.", labels=["origin"])
    n_declined = CounterMetricFamily("rag_abstentions", "Questions that were declined.", labels=["origin"])
    query = select(turns.c.origin, func.count(), func.sum(turns.c.declined)).group_by(turns.c.origin)
    for origin, n, declined in connection.execute(query):
        n_asked.add_metric([origin], n)
        n_declined.add_metric([origin], declined)
    yield from (n_asked, n_declined)


def _verdict_metrics(connection: Connection) -> Iterator[Metric]:
    n_given = CounterMetricFamily("rag_feedback", "Verdicts that were given.", labels=["target", "vote"])
    on_answers = verdict_events.c.passage_id == ""
    query = (
        select(on_answers, verdict_events.c.verdict, func.count())
        .where(verdict_events.c.verdict != WITHDRAWN_VERDICT)
        .group_by(on_answers, verdict_events.c.verdict)
    )
    for on_answer, verdict, n in connection.execute(query):
        n_given.add_metric(["answer" if on_answer else "passage", verdict], n)
    yield n_given


def _library_metrics(connection: Connection) -> Iterator[Metric]:
    for name, description, table in (("documents", "Documents.", documents), ("passages", "Passages.", passages)):
        yield GaugeMetricFamily(
            f"rag_index_{name}", description, connection.scalar(select(func.count()).select_from(table))
        )


def _night_metrics(connection: Connection) -> Iterator[Metric]:
    n_promoted = CounterMetricFamily("rag_promotion", "Versions that began to answer.", labels=["kind"])
    for kind, n in connection.execute(select(promotions.c.kind, func.count()).group_by(promotions.c.kind)):
        n_promoted.add_metric([kind], n)
    yield n_promoted
    last = select(nights.c.started_at, nights.c.finished_at).where(nights.c.finished_at.is_not(None))
    night = connection.execute(last.order_by(nights.c.finished_at.desc()).limit(1)).first()
    if night and night[1]:
        began, ended = datetime.fromisoformat(night[0]), datetime.fromisoformat(night[1])
        yield GaugeMetricFamily(
            "rag_last_nightly_success_timestamp_seconds", "End of the last night.", ended.timestamp()
        )
        yield GaugeMetricFamily(
            "rag_nightly_duration_seconds", "How long the last night took.", (ended - began).total_seconds()
        )


def _serving_metrics(app: App) -> Iterator[Metric]:
    live = app.active_retriever
    info = GaugeMetricFamily("rag_index_info", "What answers now.", labels=["model", "tier", "index"])
    info.add_metric([live.version.encoder_id, str(live.version.tier), live.index.state if live.index else "absent"], 1)
    yield info
    yield GaugeMetricFamily(
        "rag_disk_free_bytes",
        "Free space on the disk of the state directory.",
        shutil.disk_usage(app.settings.data).free,
    )
