"""Saves a new query side and the base's passage side as one model that plain sentence-transformers loads: a `Router`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.embedding.model_hashes import passage_modules


def save_router(base: Path, query_modules: Sequence[Any], document_modules: Sequence[Any], made: Path) -> None:
    """Writes both routes to *made*; the document route's weights are the files of *base*, untouched.

    A module that both routes hold is saved once.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Router

    router = Router.for_query_document(list(query_modules), list(document_modules))
    SentenceTransformer(modules=[router], device="cpu").save_pretrained(str(made), create_model_card=False)
    _restore_base_files(base, made)


def _restore_base_files(base: Path, made: Path) -> None:
    """Replaces what was saved from memory by the base's own files.

    So the passage side stays the same byte for byte, whichever release of a library wrote it; weights are hard links, so
    that a hundred versions of tier 1 take the disk space of one.
    """
    for kind, module in passage_modules(made):
        for copy in module.glob("*") if kind == "Transformer" else ():
            original = base / copy.name
            if original.is_file():
                copy.unlink()
                _link_or_copy(original, copy)


def _link_or_copy(original: Path, copy: Path) -> None:
    try:
        copy.hardlink_to(original)
    except OSError:  # another file system, or one without links
        shutil.copy2(original, copy)
