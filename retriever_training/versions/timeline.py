"""Every retriever version with what is known of it: where it is, which night made it, what it costs to keep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from rag.app.stores import Stores
from rag.insights.version_disk_usage import VersionDiskUsage, measure_disk_usage
from rag.versions.registry import VERSION_MANIFEST, Promotion, Version
from retriever_training.versions.night_store import NightRecord, NightStore

VersionStatus = Literal["current", "previous", "earlier", "candidate", "refused"]
"""What answers; what a rollback brings back; what answered before; what no gate has judged yet; what one turned down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One version."""

    version: Version
    standing: VersionStatus
    night: NightRecord | None
    """That made it; None of a base, and of versions whose night is not on record."""
    promotions: tuple[Promotion, ...]
    """When it was made current, latest first."""
    space: VersionDiskUsage

    @property
    def has_files(self) -> bool:
        """Whether it could be promoted."""
        return (self.version.folder / VERSION_MANIFEST).is_file()


def version_timeline(stores: Stores) -> list[TimelineEntry]:
    """All versions, the newest first."""
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
