"""The base as a version of the registry, and the one that answers until a night has made a better one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rag.errors import NotFoundError
from rag.state_files import PRIVATE_FOLDER
from rag.versions.registry import VersionRegistry


def install_base(registry: VersionRegistry, model: str, max_tokens: int, lexical_weight: float) -> None:
    """Registers *model* as the base and lets it answer, unless that base is there already.

    *lexical_weight* is BM25's in the base; once a night has chosen one, another one here installs no new base.

    Raises:
        SettingsError, EncoderError: as `save_base`.
    """
    wanted = {"model": model, "max_tokens": max_tokens}
    if _has_base(registry, wanted, lexical_weight):
        return
    from rag.versions.base_model import save_base

    registry.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="base-", dir=registry.folder))
    try:
        save_base(model, max_tokens, made)
        version = registry.register(made, tier=0, parent_id=None, lexical_weight=lexical_weight, note=wanted)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    registry.promote(version.encoder_id, f"base {model}", kind="install")


def _has_base(registry: VersionRegistry, wanted: Mapping[str, object], lexical_weight: float) -> bool:
    """Whether the installed base is the one wanted; BM25's weight counts until a night has chosen one."""
    try:
        base = registry.base()
    except NotFoundError:
        return False
    answers = registry.latest_promotion().encoder_id == base.encoder_id
    weight = lexical_weight if answers else base.lexical_weight
    return base.lexical_weight == weight and all(base.note.get(name) == value for name, value in wanted.items())
