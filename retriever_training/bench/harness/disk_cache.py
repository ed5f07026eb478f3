"""What a benchmark made once and every later run reads: vectors, and figures as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag.arrays import FloatArray
from rag.records import sha256_of


def cached_array(file: Path, make: Callable[[], FloatArray]) -> FloatArray:
    """The array in *file*, which is made and written if it is absent."""
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as out:
            np.save(out, make())
        part.replace(file)
    return np.asarray(np.load(file), np.float32)


def cached_vectors(
    folder: Path, encoded_by: str, texts: Sequence[str], encode: Callable[[Sequence[str]], FloatArray]
) -> FloatArray:
    """`(n, dim)`: what *encode* makes of these texts, from a file in *folder* that is named after both.

    *encoded_by* is an encoder's id if the texts are questions, and its passage side if they are passages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = sha256_of("\0".join([encoded_by, *texts]))[:20]
    return cached_array(folder / f"{named}.npy", lambda: encode(texts))


def cached_figures(file: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON object in *file*, which is made and written if it is absent; all of it or nothing."""
    if not file.exists():
        made = json.dumps(make(), ensure_ascii=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_text(made, "utf-8")
        part.replace(file)
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return told
