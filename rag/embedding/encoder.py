"""A sentence-transformers model behind two verbs: encode_queries and encode_passages."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rag.arrays import FloatArray
from rag.embedding.model_hashes import check_model_folder, compute_encoder_id, compute_passage_side
from rag.embedding.model_load_lock import MODEL_LOAD_LOCK
from rag.errors import EncoderError

Precision = Literal["auto", "fp32", "bf16"]

BATCH = 32  # texts a forward pass; 16 to 64 are within 5 % of each other on two cores
MIN_PROBE_PASSAGES = 200  # passages in one call from which a probe of about a second pays
MIN_BF16_COSINE = 0.999  # the least cosine between a bf16 and an fp32 vector of one text

log = logging.getLogger(__name__)


class Encoder:
    """One retriever version's encoder. Loads its weights at the first text."""

    def __init__(self, folder: Path, *, precision: Precision = "auto", threads: int = 0) -> None:
        self.folder = folder
        self.encoder_id = compute_encoder_id(folder)
        self.passage_side = compute_passage_side(folder)
        self._precision = precision
        self._threads = threads
        self._bf16: bool | None = {"auto": None, "fp32": False, "bf16": True}[precision]

    @classmethod
    def open(
        cls, folder: Path, *, encoder_id: str | None = None, precision: Precision = "auto", threads: int = 0
    ) -> Encoder:
        """Opens the version in *folder*.

        Raises:
            EncoderError: the folder is no model, may run code, or its files are not those of *encoder_id*.
        """
        encoder = cls(folder, precision=precision, threads=threads)
        check_encoder_id(encoder.encoder_id, encoder_id, folder)
        return encoder

    @cached_property
    def model(self) -> Any:
        """The `SentenceTransformer` itself, for training."""
        return load_model(self.folder, self._threads)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.model.get_embedding_dimension())

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length; always in full precision, for questions come one by one."""
        return self._encode(self.model.encode_query, texts, bf16=False)

    def encode_passages(self, texts: Sequence[str], progress: Callable[[int], None] = lambda n: None) -> FloatArray:
        """`(n, dim)` float32, rows of unit length, in the order given; batches hold texts of similar length.

        In bf16 if the CPU is measurably faster with it and the vectors agree (cosine of at least AGREEMENT).
        """
        vectors = self._encode(self.model.encode_document, texts, bf16=self.prefers_bf16(texts))
        progress(len(texts))
        return vectors

    def _encode(self, encode: Callable[..., Any], texts: Sequence[str], *, bf16: bool) -> FloatArray:
        if not len(texts):
            return np.zeros((0, self.dim), np.float32)
        import torch

        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            vectors = encode(list(texts), batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)
        return normalise_rows(np.asarray(vectors, np.float32))

    def prefers_bf16(self, texts: Sequence[str]) -> bool:
        """Whether this machine should encode, and train, in bf16; decided once, at the first call with enough texts."""
        if self._bf16 is None and len(texts) >= MIN_PROBE_PASSAGES:
            self._bf16 = self._probe(texts[len(texts) // 2 :][: 2 * BATCH])
        return bool(self._bf16)

    def _probe(self, texts: Sequence[str]) -> bool:
        """True if bf16 is at least a tenth faster on *texts* and every vector agrees.

        Elsewhere it is ruinous: a hundred times slower has been seen on CPUs without AVX512-BF16.
        """
        import torch

        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        seconds: dict[bool, float] = {}
        vectors: dict[bool, FloatArray] = {}
        for bf16 in (False, True):
            self._encode(self.model.encode_document, texts[:2], bf16=bf16)  # the first call of each kind compiles
            start = time.perf_counter()
            vectors[bf16] = self._encode(self.model.encode_document, texts, bf16=bf16)
            seconds[bf16] = time.perf_counter() - start
        agreement = float((vectors[False] * vectors[True]).sum(axis=1).min())
        faster = seconds[False] > 1.1 * seconds[True]
        log.info("bf16 probe: %.2f times as fast, least cosine %.5f", seconds[False] / seconds[True], agreement)
        return faster and agreement >= MIN_BF16_COSINE


def load_model(folder: Path, threads: int = 0) -> Any:
    """The `SentenceTransformer` in *folder*, from local files alone, quietly; *threads* 0 leaves torch's own choice."""
    check_model_folder(folder)
    quiet_libraries()
    import torch
    from sentence_transformers import SentenceTransformer

    if threads:
        torch.set_num_threads(threads)
    with MODEL_LOAD_LOCK:
        return SentenceTransformer(str(folder), device=_device(), local_files_only=True, trust_remote_code=False)


def quiet_libraries() -> None:
    """Keeps the libraries offline and their progress bars off our stderr; must run before they are imported."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # it would warn in every child process we start
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def normalise_rows(vectors: FloatArray) -> FloatArray:
    """Rows scaled to unit length; bf16 leaves them a thousandth off. Zero rows stay zero.

    >>> normalise_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0), np.float32)


def check_encoder_id(found: str, wanted: str | None, folder: Path) -> None:
    """Raises:
    EncoderError: the files in *folder* hash to *found*, which is not the version *wanted*.
    """
    if wanted is not None and found != wanted:
        raise EncoderError(
            f"the files in {str(folder)!r} are those of version {found!r}, not of {wanted!r}: "
            'they were changed; restore them, or run "nightjar rollback"'
        )


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
