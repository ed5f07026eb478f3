"""Candidates that a gate turned down: the last ones keep their files, so that a person can look at them and overrule it."""

from __future__ import annotations

from rag.app.stores import Stores
from rag.versions.registry import Version
from retriever_training.versions.night_store import NightRecord, NightStore


def latest_refusals(stores: Stores) -> dict[str, NightRecord]:
    """encoder id → the night that turned it down last, the latest first; without those that a person made current."""
    answered = {promotion.encoder_id for promotion in stores.registry.history()}
    turned_down = [night for night in NightStore(stores.engine).newest() if night.decision not in (None, "promoted")]
    found: dict[str, NightRecord] = {}
    for night in turned_down:
        if night.candidate_id and night.candidate_id not in answered:
            found.setdefault(night.candidate_id, night)
    return found


def discard_old_refusals(stores: Stores, n_kept: int) -> None:
    """Deletes files and vectors of all refused candidates but the *n_kept* that were turned down last.

    Looks at all of them, so that what a killed night left behind goes with the next one.
    """
    for encoder_id in list(latest_refusals(stores))[n_kept:]:
        discard_version(stores, stores.registry.version(encoder_id))


def discard_version(stores: Stores, version: Version) -> None:
    """Deletes its files and, unless a version with files uses them too, its vectors; the row and the report stay."""
    if not version.folder.is_dir():
        return
    others = (
        known
        for known in stores.registry.versions()
        if known.encoder_id != version.encoder_id and known.folder.is_dir()
    )
    if version.passage_side not in {known.passage_side for known in others}:
        stores.vectors(version.passage_side).drop()  # first: after a kill the folder says that there is something left
    stores.registry.discard(version.encoder_id)


def promotion_reason(night: NightRecord | None, said: str) -> str:
    """The reason of a promotion as it is stored: *said*, and that it overruled the gate if *night* turned it down."""
    return f"{said}; a person overruled the gate, which had said: {_word(night)}" if night else said


def refusal_warning(night: NightRecord) -> str:
    """What whoever promotes a refused candidate should know."""
    return (
        f"the gate turned this version down ({night.decision}, night {night.night_id}): {_word(night)} "
        "It answers all the same now, and the history says that a person overruled the gate."
    )


def _word(night: NightRecord) -> str:
    """The gate's first reason, as a sentence."""
    reasons = (night.summary.reasons if night.summary else ()) or ("no reason is on record",)
    return reasons[0].rstrip(".") + "."
