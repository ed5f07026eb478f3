"""What every finder of negatives takes, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from retriever_training.negatives.reasons import RemovalReason


class Bm25Scorer(Protocol):
    """BM25 over the passages of a mining context, in its order."""

    def scores(self, question: str) -> NDArray[np.float64]:
        """`(n,)`: the BM25 of every passage for the question."""

    def score_matrix(self, questions: Sequence[str]) -> FloatArray:
        """`(q, n)` float32: the same for several questions."""


@dataclass(frozen=True, slots=True)
class VersionView:
    """The vectors that one version gives to the questions and passages of a mining context."""

    name: str
    question_vectors: FloatArray
    """`(q, dim)`, unit rows."""
    passage_vectors: FloatArray
    """`(n, dim)`, unit rows."""
    version: str = ""
    """Its `encoder_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningContext:
    """Questions with what is known about them, and all passages, as existing vectors: mining encodes nothing.

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
    """The passages' texts; without them no finder can search by a passage's words."""
    seed: int = 13
    earlier: tuple[VersionView, ...] = ()
    """Versions before the current one, newest first, if their vectors still exist."""
    version: str = ""
    """The `encoder_id` of the current version."""

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def current(self) -> VersionView:
        """The current version's vectors."""
        return VersionView("the current version", self.question_vectors, self.passage_vectors, self.version)

    def generator(self, stream: str) -> np.random.Generator:
        """Random numbers for one finder: the same for the same seed, and independent of the other finders."""
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
    """The negatives of one question after cleaning, and the candidates that were removed."""

    kept: tuple[Candidate, ...]
    removed: tuple[tuple[Candidate, RemovalReason], ...] = field(default=())
    """Each with its reason."""


Finder = Callable[[MiningContext, int], list[list[Candidate]]]
"""Takes a mining context and how many candidates to find for each question; returns a list for each question, hardest first."""


def rank_candidates(
    source: str, passages: Sequence[int], scores: Sequence[float], version: str = ""
) -> list[Candidate]:
    """Returns candidates in the order given, ranked from 1."""
    pairs = zip(passages, scores, strict=True)
    return [
        Candidate(passage=int(passage), source=source, rank=rank, score=float(score), version=version)
        for rank, (passage, score) in enumerate(pairs, start=1)
    ]


def max_positives(mine: MiningContext) -> int:
    """The most right passages that any question has: a finder must look for this many more."""
    return max((len(positives) for positives in mine.positives), default=0)


def drop_positives(
    mine: MiningContext, source: str, n: int, rows: NDArray[np.int64], scores: FloatArray, version: str = ""
) -> list[list[Candidate]]:
    """Returns the first *n* of each question's rows that are not its positives.

    *rows* and *scores* are `(q, k)`, best first; a row below 0 is padding.
    """
    found = []
    for candidates, own_scores, positives in zip(rows.tolist(), scores.tolist(), mine.positives, strict=True):
        kept = [pair for pair in zip(candidates, own_scores, strict=True) if pair[0] >= 0 and pair[0] not in positives][
            :n
        ]
        found.append(rank_candidates(source, [row for row, _ in kept], [score for _, score in kept], version))
    return found
