"""Every retriever version with its history: whether it answers, which night made it, how much space it takes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from rag.app.stores import Stores
from rag.insights.version_disk_usage import VersionDiskUsage, measure_disk_usage
from rag.versions.registry import VERSION_MANIFEST, Promotion, Version
from retriever_training.versions.night_store import NightRecord, NightStore

VersionStatus = Literal["current", "previous", "earlier", "candidate", "refused"]
"""It answers; a rollback brings it back; it answered before; no gate has judged it yet; a gate refused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One version."""

    version: Version
    standing: VersionStatus
    night: NightRecord | None
    """The night that made it; None for a base, and for versions whose night is not on record."""
    promotions: tuple[Promotion, ...]
    """When it was made current, the latest first."""
    space: VersionDiskUsage

    @property
    def has_files(self) -> bool:
        """Whether it has its files, and so could be promoted."""
        return (self.version.folder / VERSION_MANIFEST).is_file()


def version_timeline(stores: Stores) -> list[TimelineEntry]:
    """Returns all versions, the newest first."""
    registry, versions = stores.registry, stores.registry.versions()
    history = registry.history()
    nights = {night.candidate_id: night for night in reversed(NightStore(stores.engine).newest()) if night.candidate_id}
    promoted: dict[str, list[Promotion]] = defaultdict(list)
    for promotion in history:
        promoted[promotion.encoder_id].append(promotion)
    current, before = stores.current().encoder_id, registry.version_before_current()
    held = measure_disk_usage(stores.engine, stores.data, versions)

    def standing(version: Version) -> VersionStatus:
        if version.encoder_id == current:
            return "current"
        if version.encoder_id == before:
            return "previous"
        if promoted[version.encoder_id]:
            return "earlier"
        return "refused" if version.encoder_id in nights else "candidate"

    return [
        TimelineEntry(
            version=version,
            standing=standing(version),
            night=nights.get(version.encoder_id),
            promotions=tuple(promoted[version.encoder_id]),
            space=held[version.encoder_id],
        )
        for version in reversed(versions)
    ]
