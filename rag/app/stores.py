"""What training and measuring are given of an opened state directory: never the whole application, nor its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine

from rag.answering.answerer import Answerer
from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder, Precision
from rag.embedding.passage_vectors import PassageVectors
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.abstention import AbstentionThreshold
from rag.generation.chat.chat_model import ChatModel
from rag.generation.generator import Generator
from rag.index.bm25 import Bm25Index
from rag.library.library import Library
from rag.retrieval.retriever import Retriever
from rag.versions.registry import Version, VersionRegistry


class MakeAnswerer(Protocol):
    """`App.answerer_with`: answers as users get them, from other parts than those that serve."""

    def __call__(
        self,
        retriever: Callable[[], Retriever],
        generator: Generator,
        feedback: FeedbackStore,
        k: int = 0,
        threshold_for: Callable[[str], AbstentionThreshold] | None = None,
    ) -> Answerer:
        """See `App.answerer_with`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The opened stores of one state directory, and how the parts of a version are opened."""

    data: Path
    """The state directory: reports, thresholds and what a night writes while it runs."""
    engine: Engine
    library: Library
    feedback: FeedbackStore
    registry: VersionRegistry

    current: Callable[[], Version]
    """The version that answers; the base is installed first if there is none."""
    open_encoder: Callable[[str], Encoder]
    """encoder_id → its encoder."""
    vectors: Callable[[str], PassageVectors]
    """Passage side → its vectors."""
    lexical: Callable[[], Bm25Index]
    """BM25 over the library as it is now."""
    served_lexical: Callable[[], Bm25Index]
    """The BM25 index that answers at the moment, which is open already."""
    encode_few: Callable[[str, Sequence[str]], FloatArray]
    """encoder_id, a few questions → their vectors, by the encoder that is open already or else by numpy."""
    exact_retriever: Callable[[str], Retriever]
    """encoder_id → a retriever that searches exactly and keeps near-duplicates apart."""

    answerer_with: MakeAnswerer
    chat_model: Callable[[], ChatModel | None]
    """The language model that writes answers; None if they are quoted."""
    writer: str
    """The name of what writes answers: "extractive", or the language model's."""

    index_url: str | None
    """A Chroma server; None if Chroma runs in the process."""
    k: int
    """Passages that an answer is made from."""
    candidates: int
    """Passages that each side hands to the fusion."""
    collapses_duplicates: bool
    base_model: str
    """The name of the base encoder in the settings."""
    precision: Precision
    """Of encoders: "auto", "fp32" or "bf16"."""
    threads: int
    """CPU threads of encoders; 0: all that this process may use."""
    trusted: tuple[str, ...]
    """People whose rejection counts without a second one."""
    quarantined: tuple[str, ...]
    """People whose verdicts do not count for now."""
    max_judgments_per_person: int
    seed: int
    """Of every random draw."""
