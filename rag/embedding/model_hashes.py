"""What the files of a sentence-transformers folder name: the version, and its passage side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.errors import EncoderError

ID_LENGTH = 12  # hex digits: 48 bits, ample for the versions one library will ever see

MODULE_FILES = frozenset({"config.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json"})
"""Of a module's folder, the files that decide what it computes, next to its weights."""

UNNAMED_FILES = frozenset({"README.md", "manifest.json", "training_positives.json"})
"""Written for readers; they change nothing that the version computes."""

PROMPT_NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""As sentence-transformers looks for what it puts before a text; then for the model's default."""

CACHED_FROM = 1_000_000  # bytes; smaller files are quick to hash, and written twice within one tick of the clock

REFUSED_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py"})
"""Formats that run code when they are loaded."""


def compute_encoder_id(folder: Path) -> str:
    """The id of a version: a hash of the names and contents of all its files.

    Raises:
        EncoderError: the folder is no sentence-transformers model, or holds files that run code on loading.
    """
    check_model_folder(folder)
    return hash_model_files(folder)


def hash_model_files(folder: Path) -> str:
    """A hash of the names and contents of all files that change what a model computes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in UNNAMED_FILES)
    return _digest((path.relative_to(folder).as_posix(), _sha256(path)) for path in files)


def compute_passage_side(folder: Path) -> str:
    """The id of what turns a passage into a vector: a hash of the document route's prompt and modules, in order.

    Versions that differ on the query side only share it, and with it their vectors and their index.
    """
    before = text_prompt(folder, "document")
    parts = [("prompt", repr(before))] if before else []
    for kind, module in passage_modules(folder):
        parts.append(("module", kind))
        parts += [(path.name, _sha256(path)) for path in sorted(module.glob("*")) if _decides(path)]
    return _digest(parts)


def _decides(path: Path) -> bool:
    return path.name in MODULE_FILES or path.suffix == ".safetensors"


def passage_modules(folder: Path) -> list[tuple[str, Path]]:
    """Class name and folder of each module that a passage goes through."""
    return route_modules(folder, "document")


def route_modules(folder: Path, task: str) -> list[tuple[str, Path]]:
    """Class name and folder of each module that a text of *task*, query or document, goes through."""
    modules = [(entry["type"], folder / entry["path"]) for entry in _json(folder / "modules.json")]
    if len(modules) == 1 and modules[0][0].endswith(".Router"):
        router = _json(modules[0][1] / "router_config.json")
        modules = [(router["types"][name], modules[0][1] / name) for name in router["structure"][task]]
    return [(kind.rsplit(".", 1)[-1], path) for kind, path in modules]


def text_prompt(folder: Path, task: str) -> str:
    """What sentence-transformers puts before a text of *task*, query or document; for most models nothing."""
    file = folder / "config_sentence_transformers.json"
    given = _json(file) if file.is_file() else {}
    prompts = given.get("prompts") or {}
    names = (*PROMPT_NAMES[task], given.get("default_prompt_name"))
    return next((str(prompts[name]) for name in names if name in prompts), "")


def check_model_folder(folder: Path) -> None:
    """Accepts safetensors and JSON only.

    Raises:
        EncoderError: the folder is no sentence-transformers model, or holds files that run code on loading.
    """
    if not (folder / "modules.json").is_file():
        raise EncoderError(
            f"{str(folder)!r} has no modules.json, so it is no sentence-transformers model: "
            "name a folder that SentenceTransformer.save_pretrained wrote"
        )
    refuse_code(folder)


def refuse_code(folder: Path) -> None:
    """
    Raises:
        EncoderError: the folder holds files that run code on loading.
    """
    for path in folder.rglob("*"):
        if path.suffix.lower() in REFUSED_SUFFIXES:
            raise EncoderError(
                f"{str(path)!r} may run code when it is loaded: only safetensors and JSON are accepted; "
                "save the model again with safetensors, or delete the file if it is not needed"
            )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{str(path)!r} can't be read ({error}): restore the version's files, or run \"nightjar rollback\""
        ) from error


def _sha256(path: Path) -> str:
    status = path.stat()
    if status.st_size < CACHED_FROM:
        return _hash_file(path)
    return _cached_hash(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _cached_hash(path: Path, _modified_ns: int, _size: int) -> str:
    """Version and passage side read the same 90 MB; hard links of one night's models are hashed by their own path."""
    return _hash_file(path)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(parts: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("\n".join(f"{name} {value}" for name, value in parts).encode()).hexdigest()[:ID_LENGTH]
