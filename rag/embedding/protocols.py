"""What the rest of the house asks of an encoder; the real ones and the tests' small ones have it in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag.arrays import FloatArray


class TextEncoder(Protocol):
    """The two sides of an encoder."""

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""


class VersionEncoder(TextEncoder, Protocol):
    """The encoder of a retriever version, which its vectors are stored under."""

    encoder_id: str
    passage_side: str
    """Versions that share it encode passages alike."""


class VersionQueryEncoder(Protocol):
    """The side of a version's encoder that questions go through."""

    encoder_id: str

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""


class PassageEncoder(Protocol):
    """The side of an encoder that passages go through."""

    passage_side: str

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""
