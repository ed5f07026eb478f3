"""What every way of finding negatives looks at, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class LexicalMatrix(Protocol):
    """BM25 over the passages of the mine, in its order."""

    def score_matrix(self, questions: Sequence[str]) -> FloatArray:
        """`(q, n)` float32."""


@dataclass(frozen=True, slots=True)
class Mine:
    """Questions with what is known of them, and all passages, as vectors that exist: mining encodes nothing.

    Passages are named by their row, 0-based.
    """

    questions: tuple[str, ...]
    positives: tuple[frozenset[int], ...]
    """Known right passages of each question."""
    rejected: tuple[tuple[int, ...], ...]
    """Passages that people rejected for each question, surest first."""
    passage_ids: tuple[str, ...]
    question_vectors: FloatArray
    """`(q, dim)`, unit rows, by the current version."""
    passage_vectors: FloatArray
    """`(n, dim)`, unit rows, by the current version."""
    lexical: LexicalMatrix
    seed: int = 13

    def __len__(self) -> int:
        return len(self.questions)

    def generator(self, stream: str) -> np.random.Generator:
        """Random numbers for one finder: the same for the same seed and mine, and independent of the other finders."""
        return np.random.default_rng([self.seed, *stream.encode()])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may be a negative for a question, and where it comes from."""

    passage: int
    """Its row."""
    source: str
    """The finder's name."""
    rank: int
    """1-based, among what the finder found for the question."""
    score: float
    """In the finder's own unit: cosine, BM25, a probability; 0 where it has none."""


@dataclass(frozen=True, slots=True)
class Mined:
    """The negatives of one question after cleaning, and what was taken out."""

    kept: tuple[Candidate, ...]
    removed: tuple[tuple[Candidate, str], ...] = field(default=())
    """Each with its reason."""


Finder = Callable[[Mine, int], list[list[Candidate]]]
"""Takes a mine and how many to find for each question; gives a list for each question, hardest first."""


def ranked(source: str, passages: Sequence[int], scores: Sequence[float]) -> list[Candidate]:
    """Candidates in the order given, ranks from 1."""
    pairs = zip(passages, scores, strict=True)
    return [Candidate(int(passage), source, rank, float(score)) for rank, (passage, score) in enumerate(pairs, start=1)]
