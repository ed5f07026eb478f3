"""How things stand, if a person who asks should know: what is being built, what is away, what runs out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from rag.app.app import App
from ui.texts import chat as said

LOW_DISK_BYTES = 1024**3  # bytes that are left of the disk; a night's candidate takes some hundred megabytes


def status_messages(app: App) -> list[str]:
    """A sentence for each thing that is not as ever, most urgent first; none if all is well."""
    return [*_disk(app), *_generator(app), *_ingests(app), *_index(app)]


def _disk(app: App) -> Iterator[str]:
    free = shutil.disk_usage(app.settings.data).free
    if free < LOW_DISK_BYTES:
        yield said.DISK_LOW.format(free=f"{free / 1024**2:,.0f} MB")


def _generator(app: App) -> Iterator[str]:
    health = app.chat_model.health() if app.chat_model else {}
    if health.get("circuit") == "open" or health.get("weights") == "failed":
        yield said.GENERATOR_AWAY.format(model=health["model"])
    elif health.get("weights") in ("waiting", "loading"):
        yield said.GENERATOR_LOADS.format(model=health["model"])


def _ingests(app: App) -> Iterator[str]:
    running = [job for job in app.jobs.latest(5) if job.state == "running"]
    if running:
        n_passages, n_encoded = sum(job.n_passages for job in running), sum(job.n_encoded for job in running)
        percent = 100 * n_encoded // n_passages if n_passages else 0
        yield said.INGESTING.format(percent=percent) if n_passages else said.INGESTING_FIRST


def _index(app: App) -> Iterator[str]:
    index = app.active_retriever.index
    if index and index.state in ("building", "torn"):
        yield said.BUILDING.format(version=app.active_retriever.version.encoder_id, percent=int(100 * index.share))
