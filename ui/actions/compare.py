"""Two versions on one question, for the page and for programs: which ones, what they rank, and a pin that follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from rag.app.app import App
from rag.errors import UsageError
from rag.records import Hit, ShownPassage, Turn, utc_now
from rag.versions.registry import VERSION_MANIFEST, Version
from rag.versions.version_labels import full_version_name, version_name, version_numbers

N_COMPARED_HITS = 10  # passages of each version


def comparable_versions(app: App) -> list[Version]:
    """The versions that ever answered and still have their files, the current one first, then those that answered last."""
    by_id = {version.encoder_id: version for version in app.registry.versions()}
    latest_first = dict.fromkeys(promotion.encoder_id for promotion in app.registry.history())
    return [by_id[promotion] for promotion in latest_first if (by_id[promotion].folder / VERSION_MANIFEST).is_file()]


def version_names(app: App) -> dict[str, str]:
    """encoder id → what people call it if space is short, of all versions."""
    numbers = version_numbers(app.registry.history())
    return {version.encoder_id: version_name(version.encoder_id, numbers) for version in app.registry.versions()}


def version_full_names(app: App) -> dict[str, str]:
    """encoder id → its name with the beginning of its id, of all versions."""
    numbers = version_numbers(app.registry.history())
    return {version.encoder_id: full_version_name(version.encoder_id, numbers) for version in app.registry.versions()}


def choose_two_versions(app: App, a: str | None, b: str | None) -> tuple[Version, Version]:
    """The versions to compare, by id or the beginning of it; if left out, the one before the current one, and the current.

    Raises:
        NotFoundError: none begins so.
        UsageError: it is one version twice, or there is none before the current one.
    """
    current, *earlier = [
        app.current(),
        *(version for version in comparable_versions(app) if version.encoder_id != app.current().encoder_id),
    ]
    if a is None and not earlier:
        raise UsageError(
            "there is one version so far, and nothing to compare it with: a night that is promoted makes another"
        )
    first = app.registry.version(a) if a else earlier[0]
    second = app.registry.version(b) if b else current
    if first.encoder_id == second.encoder_id:
        raise UsageError(f"version {first.encoder_id!r} is compared with itself: name two versions")
    return first, second


def search_version(app: App, version: Version, question: str, k: int = N_COMPARED_HITS) -> list[Hit]:
    """What *version* alone ranks first, in the library as it is now: without today's votes and without a reranker.

    Raises:
        UsageError: its files are gone, or it has not encoded all that the library holds by now.
    """
    name = version_names(app)[version.encoder_id]
    if not (version.folder / VERSION_MANIFEST).is_file():
        raise UsageError(f'the files of {name} are gone: choose a version that "nightjar versions" shows as kept')
    n_missing = app.vectors(version.passage_side).missing()
    if n_missing and version.passage_side != app.current().passage_side:
        raise UsageError(
            f"{name} has not encoded {n_missing:,} texts that came in since it answered, so it would only seem "
            "worse: choose a version with the passages of the current one"
        )
    return app.retriever_for(version.encoder_id).search(question, k)


def pin_from_comparison(app: App, user: str, question: str, version: Version, hits: Sequence[Hit]) -> None:
    """Pins the first of *hits* as the right passage, on a turn that records what was shown for the comparison."""
    shown = tuple(
        ShownPassage(
            passage_id=hit.passage.passage_id,
            rank=hit.rank,
            score=hit.score,
            dense=hit.dense,
            lexical=hit.lexical,
            cited=False,
        )
        for hit in hits
    )
    turn_id = uuid.uuid4().hex
    turn = Turn(
        turn_id=turn_id,
        conversation_id=turn_id,
        user=user,
        question=question,
        answer="",
        declined=False,
        encoder_id=version.encoder_id,
        asked_at=utc_now(),
        origin="compared",
        shown=shown,
    )
    app.feedback.record_turn(turn)
    app.feedback.record_verdict(user, turn_id, hits[0].passage.passage_id, "pin")
