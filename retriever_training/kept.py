"""Vectors in files: what a benchmark encoded once is read by every later run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.records import sha256_of

FloatArray = NDArray[np.float32]


def kept(file: Path, make: Callable[[], FloatArray]) -> FloatArray:
    """The array in *file*, which is made and written where it is absent."""
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as out:
            np.save(out, make())
        part.replace(file)
    return np.asarray(np.load(file), np.float32)


def kept_vectors(
    folder: Path, encoded_by: str, texts: Sequence[str], encode: Callable[[Sequence[str]], FloatArray]
) -> FloatArray:
    """`(n, dim)`: what *encode* makes of these texts, from a file in *folder* that is named after both.

    *encoded_by* is an encoder's id where the texts are questions, and its passage side where they are passages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = sha256_of("\0".join([encoded_by, *texts]))[:20]
    return kept(folder / f"{named}.npy", lambda: encode(texts))
