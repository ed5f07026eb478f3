"""What every way of finding negatives looks at, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from retriever_training.negatives.reasons import RemovalReason


class Bm25Scorer(Protocol):
    """BM25 over the passages of the mine, in its order."""

    def scores(self, question: str) -> NDArray[np.float64]:
        """`(n,)`."""

    def score_matrix(self, questions: Sequence[str]) -> FloatArray:
        """`(q, n)` float32."""


@dataclass(frozen=True, slots=True)
class VersionView:
    """How one version sees the mine's questions and passages."""

    name: str
    question_vectors: FloatArray
    """`(q, dim)`, unit rows."""
    passage_vectors: FloatArray
    """`(n, dim)`, unit rows."""
    version: str = ""
    """Its `encoder_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningContext:
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
    lexical: Bm25Scorer
    texts: Sequence[str] = ()
    """The passages' texts; without them nothing is found by the words of a passage."""
    seed: int = 13
    earlier: tuple[VersionView, ...] = ()
    """Versions before the current one, newest first, as far as their vectors are there."""
    version: str = ""
    """The `encoder_id` of the current version."""

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def current(self) -> VersionView:
        """How the current version sees the mine."""
        return VersionView("the current version", self.question_vectors, self.passage_vectors, self.version)

    def generator(self, stream: str) -> np.random.Generator:
        """Random numbers for one finder: the same for the same seed and mine, and independent of the other finders."""
        return np.random.default_rng([self.seed, *stream.encode()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A passage that may be a negative for a question, and where it comes from."""

    passage: int
    """Its row."""
    source: str
    """The finder's name."""
    rank: int
    """1-based, among what the finder found for the question."""
    score: float
    """In the finder's own unit: cosine, BM25, a probability; 0 if it has none."""
    version: str = ""
    """The `encoder_id` whose vectors found it; empty if none did."""


@dataclass(frozen=True, slots=True)
class MinedNegatives:
    """The negatives of one question after cleaning, and what was taken out."""

    kept: tuple[Candidate, ...]
    removed: tuple[tuple[Candidate, RemovalReason], ...] = field(default=())
    """Each with its reason."""


Finder = Callable[[MiningContext, int], list[list[Candidate]]]
"""Takes a mine and how many to find for each question; gives a list for each question, hardest first."""


def rank_candidates(
    source: str, passages: Sequence[int], scores: Sequence[float], version: str = ""
) -> list[Candidate]:
    """Candidates in the order given, ranks from 1."""
    pairs = zip(passages, scores, strict=True)
    return [
        Candidate(passage=int(passage), source=source, rank=rank, score=float(score), version=version)
        for rank, (passage, score) in enumerate(pairs, start=1)
    ]


def max_positives(mine: MiningContext) -> int:
    """How many right passages a question has at most: this many more have to be looked for."""
    return max((len(positives) for positives in mine.positives), default=0)


def drop_positives(
    mine: MiningContext, source: str, n: int, rows: NDArray[np.int64], scores: FloatArray, version: str = ""
) -> list[list[Candidate]]:
    """The first *n* of the rows found for each question that are no positive of it.

    *rows* and *scores* are `(q, k)`, best first; a row below 0 stands for nothing.
    """
    found = []
    for candidates, theirs, positives in zip(rows.tolist(), scores.tolist(), mine.positives, strict=True):
        kept = [pair for pair in zip(candidates, theirs, strict=True) if pair[0] >= 0 and pair[0] not in positives][:n]
        found.append(rank_candidates(source, [row for row, _ in kept], [score for _, score in kept], version))
    return found
