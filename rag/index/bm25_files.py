"""BM25's counts on disk: two files a block, and a manifest last that names them and who made them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag.index.bm25_counts import TermCounts
from rag.state_files import PRIVATE_FOLDER
from rag.text.analyzers import analyzer_versions

log = logging.getLogger(__name__)

BM25_MANIFEST = "manifest.json"


def save_counts(folder: Path, blocks: Sequence[TermCounts], words: Sequence[str], *, rewrite_all: bool) -> None:
    """Writes the blocks, then the manifest that names them; what it does not name goes last.

    *words* are those of all blocks; a block's file holds those that came with it. Unless *rewrite_all*, a block that the last
    manifest names is taken as it lies there.
    """
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    there = (
        {} if rewrite_all else {name: sha256 for name, sha256 in _promised(folder).items() if (folder / name).exists()}
    )
    files: dict[str, str] = {}
    n_before = 0
    for block in blocks:
        its_words = words[n_before : block.counts.shape[0]]
        n_before = block.counts.shape[0]
        name = _name(block, its_words)
        for file, write in _writers(name, block, its_words).items():
            files[file] = there.get(file) or _write_beside(folder / file, write)
    manifest = {"made_by": analyzer_versions(), "blocks": list(files), "sha256": files}
    _write_beside(folder / BM25_MANIFEST, lambda file: file.write(json.dumps(manifest, indent=1).encode()))
    for path in folder.iterdir():
        if path.name not in {*files, BM25_MANIFEST}:
            path.unlink(missing_ok=True)


def load_counts(folder: Path) -> tuple[list[TermCounts], list[str]] | None:
    """The blocks and all their words; None if there are none of these makers, or where a file was altered."""
    from scipy.sparse import csr_array

    names = list(_promised(folder))
    if not names or not _are_intact(folder):
        return None
    blocks: list[TermCounts] = []
    words: list[str] = []
    for counts, manifest_name in zip(names[::2], names[1::2], strict=True):
        of_passages = json.loads((folder / manifest_name).read_bytes())
        words += of_passages.pop("words")
        with np.load(folder / counts, allow_pickle=False) as arrays:
            shape = (len(words), len(of_passages["passage_ids"]))
            matrix = csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
            blocks.append(TermCounts(**of_passages, lengths=arrays["lengths"], counts=matrix))
    return blocks, words


def _name(block: TermCounts, words: Sequence[str]) -> str:
    """Equal for equal passages and words."""
    told = "\n".join([*block.passage_ids, *block.text_sha256s, *words])
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _writers(name: str, block: TermCounts, words: Sequence[str]) -> dict[str, Callable[[Any], object]]:
    """Yields the writers of a block's two files, the arrays first."""
    counts = block.counts
    arrays = {"data": counts.data, "indices": counts.indices, "indptr": counts.indptr, "lengths": block.lengths}
    told = {
        "words": words,
        "passage_ids": block.passage_ids,
        "text_sha256s": block.text_sha256s,
        "languages": block.languages,
    }
    return {
        f"counts-{name}.npz": lambda file: np.savez(file, allow_pickle=False, **arrays),
        f"words-{name}.json": lambda file: file.write(json.dumps(told).encode()),
    }


def _promised(folder: Path) -> dict[str, str]:
    """File name → sha256, as the manifest of these makers says, block by block; none without one."""
    try:
        manifest = json.loads((folder / BM25_MANIFEST).read_bytes())
        if manifest["made_by"] != analyzer_versions():
            return {}
        return {str(name): str(manifest["sha256"][name]) for name in manifest["blocks"]}
    except (OSError, KeyError, TypeError, ValueError):  # absent, unreadable, or half written: the same as nothing
        return {}


def _are_intact(folder: Path) -> bool:
    """Whether the bytes are those that the manifest promises."""
    for name, digest in _promised(folder).items():
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return False
        if found != digest:
            log.warning("%s is damaged: BM25 is counted anew", folder / name)
            return False
    return True


def _write_beside(path: Path, write: Callable[[Any], object]) -> str:
    """Writes a file under another name and renames it; returns its sha256. Readers see the old file or the new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        write(file)
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    part.replace(path)
    return digest
