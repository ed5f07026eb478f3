"""Vectors of questions and sentences that were encoded lately: people who chat at once meet the same passages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Literal

import numpy as np

from rag.arrays import FloatArray
from rag.embedding.protocols import VersionEncoder

Route = Literal["query", "passage"]
Encode = Callable[[Sequence[str]], FloatArray]

KEPT = 20_000  # vectors: 35 MB of 384 numbers each, with their texts


class EmbeddingCache:
    """The last *n_kept* vectors, of whatever version; those of one passage side share sentences. Threads may share it."""

    def __init__(self, n_kept: int = KEPT) -> None:
        self._n_kept = n_kept
        self._rows: OrderedDict[tuple[str, Route, str], FloatArray] = OrderedDict()
        self._lock = Lock()
        # One text batch a route at a time: several at once only fight for the cores, and would encode the same sentences.
        self._encoding: dict[Route, Lock] = {"query": Lock(), "passage": Lock()}

    def of(self, encoder: VersionEncoder) -> CachedEncoder:
        """*encoder*, which encodes only what was not encoded lately."""
        return CachedEncoder(encoder, self)

    def clear(self) -> None:
        """Keeps nothing of what was encoded before."""
        with self._lock:
            self._rows.clear()

    def vectors(self, side: str, route: Route, texts: Sequence[str], encode: Encode) -> FloatArray:
        """`(n, dim)`, in the order of *texts*; those that are not kept for the *side* are encoded in one batch."""
        found = self._known(side, route, texts)
        if len(found) < len(set(texts)):
            with self._encoding[route]:
                found |= self._known(side, route, [text for text in texts if text not in found])  # by who went before
                absent = [text for text in dict.fromkeys(texts) if text not in found]
                if absent:
                    found |= self._keep(side, route, absent, encode(absent))
        return np.stack([found[text] for text in texts]) if texts else encode(texts)

    def _known(self, side: str, route: Route, texts: Sequence[str]) -> dict[str, FloatArray]:
        found = {}
        with self._lock:
            for text in texts:
                key = (side, route, text)
                if key in self._rows:
                    self._rows.move_to_end(key)
                    found[text] = self._rows[key]
        return found

    def _keep(self, side: str, route: Route, texts: Sequence[str], rows: FloatArray) -> dict[str, FloatArray]:
        made = {text: row.copy() for text, row in zip(texts, rows, strict=True)}  # a view would keep the whole batch
        with self._lock:
            for text, row in made.items():
                self._rows[side, route, text] = row
            while len(self._rows) > self._n_kept:
                self._rows.popitem(last=False)
        return made


class CachedEncoder:
    """The two verbs of an encoder, over what is kept."""

    def __init__(self, encoder: VersionEncoder, recent: EmbeddingCache) -> None:
        self.encoder_id = encoder.encoder_id
        self.passage_side = encoder.passage_side
        self._encoder = encoder
        self._recent = recent

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""
        return self._recent.vectors(self.encoder_id, "query", texts, self._encoder.encode_queries)

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""
        return self._recent.vectors(self.passage_side, "passage", texts, self._encoder.encode_passages)
