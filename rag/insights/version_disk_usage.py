"""What versions cost in disk, and how what is unlikely to be needed again is freed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, delete, func, select

from rag.database.schema import read_connection, vectors
from rag.index.chroma_index import ChromaIndex
from rag.versions.registry import Version, VersionRegistry

N_PREVIOUS_KEPT = (
    3  # versions that were current last keep their vectors, next to the base: so far a rollback is immediate
)
QUESTION_SIDE_PREFIX = "questions:"  # begins the name of the side that holds a version's vectors of questions


@dataclass(frozen=True, slots=True)
class VersionDiskUsage:
    """What one version holds, in bytes; what it shares with others is counted with each of them."""

    files: int
    """Of its folder; what hard links share is counted with the base alone."""
    vectors: int
    """In SQL, of its passage side."""
    n_vectors: int
    index: int
    """Of its passage side, in Chroma's folder; 0 on a server, which looks after its own."""


@dataclass(frozen=True, slots=True)
class FreedSpace:
    """The disk space that was freed."""

    sides: tuple[str, ...]
    n_vectors: int
    n_bytes: int
    """Of vectors and index."""


def measure_disk_usage(engine: Engine, data: Path, versions: Iterable[Version]) -> dict[str, VersionDiskUsage]:
    """encoder_id → what the version holds."""
    held = _held(engine)
    told = {}
    for version in versions:
        n, size = held.get(version.passage_side, (0, 0))
        index = _size(data / "index" / version.passage_side)
        told[version.encoder_id] = VersionDiskUsage(_size(version.folder, shared=version.tier == 0), n * size, n, index)
    return told


def versions_to_keep(registry: VersionRegistry, n_kept: int = N_PREVIOUS_KEPT) -> set[str]:
    """Ids of the versions whose vectors stay: the base, the current and the previous one, and the *n_kept* current last."""
    last = list(dict.fromkeys(promotion.encoder_id for promotion in registry.history()))[:n_kept]
    before = registry.version_before_current()
    return {registry.base().encoder_id, registry.current().encoder_id, *last, *([before] if before else [])}


def freeable_sides(registry: VersionRegistry, n_kept: int = N_PREVIOUS_KEPT) -> list[str]:
    """Passage sides that no kept version uses, in order."""
    kept = versions_to_keep(registry, n_kept)
    versions = registry.versions()
    needed = {version.passage_side for version in versions if version.encoder_id in kept}
    return sorted({version.passage_side for version in versions} - needed)


def free_vectors(
    engine: Engine, data: Path, registry: VersionRegistry, *, n_kept: int = N_PREVIOUS_KEPT, url: str | None = None
) -> FreedSpace:
    """Drops vectors and index of passage sides that no kept version uses.

    The versions' files stay, so that each can be promoted again; the library is then encoded again. Take the night's lock
    before: one that runs encodes a side that nobody uses yet.

    Raises:
        BusyError: a process has one of the indexes open.
    """
    sides, held = freeable_sides(registry, n_kept), _held(engine)
    present = [side for side in sides if side in held or (data / "index" / side).is_dir()]
    n_vectors = n_bytes = 0
    for side in present:
        n, size = held.get(side, (0, 0))
        n_bytes += n * size + _size(data / "index" / side)
        n_vectors += n
        ChromaIndex.drop(
            data / "index", side, url=url
        )  # first: a side without vectors and with an index is a wrong one
        with engine.begin() as connection:
            connection.execute(delete(vectors).where(vectors.c.passage_side == side))
    return FreedSpace(tuple(present), n_vectors, n_bytes)


def _held(engine: Engine) -> dict[str, tuple[int, int]]:
    """passage side → its vectors, and bytes of one; those of questions are left out."""
    query = select(vectors.c.passage_side, func.count()).group_by(vectors.c.passage_side)
    held = {}
    with read_connection(engine) as connection:
        for side, n in connection.execute(
            query.where(vectors.c.passage_side.not_like(f"{QUESTION_SIDE_PREFIX}%"))
        ).all():
            one = select(func.length(vectors.c.vector)).where(vectors.c.passage_side == side).limit(1)
            held[side] = int(n), int(connection.scalar(one) or 0)
    return held


def _size(folder: Path, *, shared: bool = False) -> int:
    """Bytes of the files below, with those that hard links *share* or without; of a folder that is not there none."""
    if not folder.is_dir():
        return 0
    found = (path.stat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(version.st_size for version in found if shared or version.st_nlink == 1)
