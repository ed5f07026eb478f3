"""Candidates that a gate refused: the latest ones keep their files, so that a person can inspect and promote them."""

from __future__ import annotations

from rag.app.stores import Stores
from rag.versions.registry import Version
from retriever_training.versions.night_store import NightRecord, NightStore


def latest_refusals(stores: Stores) -> dict[str, NightRecord]:
    """Returns encoder id → the night that refused it last, the latest first; without those that a person made current."""
    promoted = {promotion.encoder_id for promotion in stores.registry.history()}
    refusals: dict[str, NightRecord] = {}
    for night in NightStore(stores.engine).newest():
        is_refusal = night.decision not in (None, "promoted")
        if is_refusal and night.candidate_id and night.candidate_id not in promoted:
            refusals.setdefault(night.candidate_id, night)
    return refusals


def discard_old_refusals(stores: Stores, n_kept: int) -> None:
    """Deletes files and vectors of all refused candidates but the *n_kept* that were refused last.

    Checks all of them, so that the next night removes what a killed night left behind.
    """
    for encoder_id in list(latest_refusals(stores))[n_kept:]:
        discard_version(stores, stores.registry.version(encoder_id))


def discard_version(stores: Stores, version: Version) -> None:
    """Deletes a version's files and, unless a version with files shares them, its vectors; row and report stay."""
    if not version.folder.is_dir():
        return
    others = (
        known
        for known in stores.registry.versions()
        if known.encoder_id != version.encoder_id and known.folder.is_dir()
    )
    if version.passage_side not in {known.passage_side for known in others}:
        stores.vectors(
            version.passage_side
        ).drop()  # first, so that after a kill the folder shows that something is left to delete
    stores.registry.discard(version.encoder_id)


def promotion_reason(night: NightRecord | None, reason: str) -> str:
    """Returns *reason* as it is stored with a promotion; if *night* refused the candidate, it says that too."""
    return f"{reason}; a person overruled the gate, which had said: {_first_reason(night)}" if night else reason


def refusal_warning(night: NightRecord) -> str:
    """Returns the warning for a person who promotes a refused candidate."""
    return (
        f"the gate refused this version ({night.decision}, night {night.night_id}): {_first_reason(night)} "
        "It answers all the same now, and the history says that a person overruled the gate."
    )


def _first_reason(night: NightRecord) -> str:
    """Returns the gate's first reason, as a sentence."""
    reasons = (night.summary.reasons if night.summary else ()) or ("no reason is on record",)
    return reasons[0].rstrip(".") + "."
