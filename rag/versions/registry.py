"""Retriever versions: folders with a manifest, their lineage, and which one is current."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, insert, select
from sqlalchemy.engine import Connection

from rag.database.schema import promotions, read_connection, versions
from rag.embedding.model_hashes import compute_encoder_id, compute_passage_side
from rag.errors import NotFoundError, UsageError
from rag.records import utc_now
from rag.state_files import PRIVATE_FOLDER
from rag.versions.model_card import model_card

VERSION_MANIFEST = "manifest.json"
RETRIEVAL_FILE = "retrieval.json"
TRAINING_POSITIVES_FILE = "training_positives.json"
PromotionKind = Literal["install", "promote", "rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A retriever: an encoder, and how much BM25 counts next to it."""

    encoder_id: str
    passage_side: str
    parent_id: str | None
    tier: int
    """0 the base, 1 a query map, 3 both towers."""
    lexical_weight: float
    folder: Path
    created_at: datetime
    note: Mapping[str, Any]
    """What it was made from, and how it did on dev."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One change of the current version."""

    promotion_id: int
    encoder_id: str
    kind: PromotionKind
    reason: str
    promoted_at: datetime


class VersionRegistry:
    """Versions in SQL, their files under `<data>/versions/<encoder_id>/`.

    A version exists once its row does; the row is written after the folder, the folder's manifest last.
    """

    def __init__(self, engine: Engine, data: Path) -> None:
        self.engine = engine
        self.folder = data / "versions"

    # ---- reading

    def current(self) -> Version:
        """The version that answers.

        Raises:
            NotFoundError: no version was ever installed.
        """
        return self.version(self.latest_promotion().encoder_id)

    def latest_promotion(self) -> Promotion:
        """The change that made the current version current; cheap enough to ask every second.

        Raises:
            NotFoundError: no version was ever installed.
        """
        rows = self.history(limit=1)
        if not rows:
            raise NotFoundError('no retriever version is installed: run "nightjar ingest" or "nightjar serve" once')
        return rows[0]

    def version(self, encoder_id: str) -> Version:
        """One version, by its id or by the beginning of it.

        Raises:
            NotFoundError: none begins so.
            UsageError: several do.
        """
        with read_connection(self.engine) as connection:
            found = connection.execute(
                select(versions).where(versions.c.encoder_id.startswith(encoder_id, autoescape=True))
            ).all()
        if not found or not encoder_id:
            raise NotFoundError(f'no version {encoder_id!r}: "nightjar versions" lists what there is')
        if len(found) > 1:
            raise UsageError(f"{encoder_id!r} begins {len(found)} versions: write more of the one you mean")
        return self._version(found[0]._mapping)

    def versions(self) -> list[Version]:
        """Every version, oldest first."""
        with read_connection(self.engine) as connection:
            rows = connection.execute(select(versions).order_by(versions.c.created_at, versions.c.encoder_id)).all()
        return [self._version(row._mapping) for row in rows]

    def history(self, limit: int | None = None) -> list[Promotion]:
        """Changes of the current version, latest first; all of them, or the last *limit*."""
        query = select(promotions).order_by(promotions.c.promotion_id.desc()).limit(limit)
        with read_connection(self.engine) as connection:
            return [
                Promotion(
                    promotion_id=row.promotion_id,
                    encoder_id=row.encoder_id,
                    kind=row.kind,
                    reason=row.reason,
                    promoted_at=datetime.fromisoformat(row.promoted_at),
                )
                for row in connection.execute(query)
            ]

    def version_before_current(self) -> str | None:
        """The version that a rollback would make current; None if there is none.

        A rollback undoes the step before it, so that steps pair up like brackets.
        """
        stack: list[str] = []
        for promotion in reversed(self.history()):
            if promotion.kind == "rollback" and stack:
                stack.pop()
            if not stack or stack[-1] != promotion.encoder_id:  # making the current version current is no step
                stack.append(promotion.encoder_id)
        return stack[-2] if len(stack) > 1 else None

    def base(self) -> Version:
        """The immutable base that every night starts from: the tier-0 version made current last.

        Raises:
            NotFoundError: no version was ever installed.
        """
        by_id = {version.encoder_id: version for version in self.versions()}
        for promotion in self.history():
            if by_id[promotion.encoder_id].tier == 0 and promotion.kind == "install":
                return by_id[promotion.encoder_id]
        raise NotFoundError('no base version is installed: run "nightjar ingest" or "nightjar serve" once')

    # ---- changing

    def register(
        self,
        model_folder: Path,
        *,
        tier: int,
        parent_id: str | None,
        lexical_weight: float,
        note: Mapping[str, Any],
        training_positives: list[str] | None = None,
    ) -> Version:
        """Moves the model folder *model_folder* into the registry and gives it its row; the same files twice are one version."""
        if training_positives is not None:
            (model_folder / TRAINING_POSITIVES_FILE).write_text(json.dumps(sorted(set(training_positives))), "utf-8")
        # Part of what the version does, so part of the files that its id is the hash of.
        (model_folder / RETRIEVAL_FILE).write_text(json.dumps({"lexical_weight": lexical_weight}), "utf-8")
        version = Version(
            encoder_id=compute_encoder_id(model_folder),
            passage_side=compute_passage_side(model_folder),
            parent_id=parent_id,
            tier=tier,
            lexical_weight=lexical_weight,
            folder=self.folder / compute_encoder_id(model_folder),
            created_at=utc_now(),
            note=dict(note),
        )
        with self.engine.begin() as connection:  # SQLite lets one process in at a time: no two settle the same folder
            self._settle(model_folder, version)
            known = select(versions.c.encoder_id).where(versions.c.encoder_id == version.encoder_id)
            if connection.scalar(known) is None:
                connection.execute(insert(versions), _row(version))
        return self.version(version.encoder_id)

    def promote(
        self,
        encoder_id: str,
        reason: str,
        kind: PromotionKind = "promote",
        also: Callable[[Connection], None] = lambda c: None,
    ) -> Version:
        """Makes a version current, in one transaction; running applications see it within two seconds.

        *also* writes what belongs to the promotion, in the same transaction.

        Raises:
            NotFoundError: there is no such version.
            UsageError: its files are gone.
        """
        version = self.version(encoder_id)
        if not (version.folder / VERSION_MANIFEST).is_file():
            raise UsageError(
                f"version {version.encoder_id!r} has no files in {str(version.folder)!r} any more: "
                'choose one that "nightjar versions" shows as kept'
            )
        with self.engine.begin() as connection:
            connection.execute(
                insert(promotions).values(
                    encoder_id=version.encoder_id, kind=kind, reason=reason, promoted_at=utc_now().isoformat()
                )
            )
            also(connection)
        return version

    def rollback(self, reason: str = "rolled back by hand") -> Version:
        """Makes the version before the current one current again; twice goes two steps back.

        Raises:
            UsageError: there is nothing before the current version.
        """
        before = self.version_before_current()
        if before is None:
            raise UsageError('there is no version before the current one: "nightjar versions" shows the history')
        return self.promote(before, reason, kind="rollback")

    def training_positives(self, encoder_id: str) -> frozenset[str]:
        """Ids of the passages that were right answers in the version's training; none for a base."""
        file = self.version(encoder_id).folder / TRAINING_POSITIVES_FILE
        return frozenset(json.loads(file.read_text("utf-8"))) if file.is_file() else frozenset()

    def discard(self, encoder_id: str) -> None:
        """Deletes the files of a version that never was current; its row stays, for the record.

        One that was current keeps its files: it may be rolled back to.
        """
        version = self.version(encoder_id)
        if version.encoder_id in {promotion.encoder_id for promotion in self.history()}:
            return
        (version.folder / VERSION_MANIFEST).unlink(missing_ok=True)  # first: what has no manifest does not exist
        shutil.rmtree(version.folder, ignore_errors=True)

    def _settle(self, made: Path, version: Version) -> None:
        manifest = {
            "encoder_id": version.encoder_id,
            "passage_side": version.passage_side,
            "parent_id": version.parent_id,
            "tier": version.tier,
            "lexical_weight": version.lexical_weight,
            "created_at": version.created_at.isoformat(),
            "note": version.note,
        }
        card = model_card(version.tier, version.parent_id, version.lexical_weight, version.note)
        (made / "README.md").write_text(card, "utf-8")
        (made / VERSION_MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False), "utf-8")
        self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if (version.folder / VERSION_MANIFEST).is_file():
            shutil.rmtree(made)
        else:
            shutil.rmtree(version.folder, ignore_errors=True)  # what has no manifest does not exist
            made.replace(version.folder)

    def _version(self, row: Mapping[Any, Any]) -> Version:
        return Version(
            encoder_id=row["encoder_id"],
            passage_side=row["passage_side"],
            parent_id=row["parent_id"],
            tier=row["tier"],
            lexical_weight=row["lexical_weight"],
            folder=self.folder.parent / row["path"],
            created_at=datetime.fromisoformat(row["created_at"]),
            note=json.loads(row["note"]),
        )


def _row(version: Version) -> dict[str, object]:
    return {
        "encoder_id": version.encoder_id,
        "passage_side": version.passage_side,
        "parent_id": version.parent_id,
        "tier": version.tier,
        "lexical_weight": version.lexical_weight,
        "path": f"versions/{version.encoder_id}",
        "created_at": version.created_at.isoformat(),
        "note": json.dumps(version.note, ensure_ascii=False),
    }
