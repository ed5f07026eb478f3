"""What every way of finding negatives looks at, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.fusion import top

FloatArray = NDArray[np.float32]


class LexicalMatrix(Protocol):
    """BM25 over the passages of the mine, in its order."""

    def score_matrix(self, questions: Sequence[str]) -> FloatArray:
        """`(q, n)` float32."""


@dataclass(frozen=True, slots=True)
class View:
    """How one version sees the mine's questions and passages."""

    name: str
    question_vectors: FloatArray
    """`(q, dim)`, unit rows."""
    passage_vectors: FloatArray
    """`(n, dim)`, unit rows."""


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
    texts: Sequence[str] = ()
    """The passages' texts; without them nothing is found by the words of a passage."""
    seed: int = 13
    earlier: tuple[View, ...] = ()
    """Versions before the current one, newest first, as far as their vectors are there."""

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
    version: str = ""
    """The `encoder_id` whose vectors found it; empty where none did."""


@dataclass(frozen=True, slots=True)
class Mined:
    """The negatives of one question after cleaning, and what was taken out."""

    kept: tuple[Candidate, ...]
    removed: tuple[tuple[Candidate, str], ...] = field(default=())
    """Each with its reason."""


QUESTIONS_AT_ONCE = 256  # × 100,000 passages: a 100 MB matrix

Finder = Callable[[Mine, int], list[list[Candidate]]]
"""Takes a mine and how many to find for each question; gives a list for each question, hardest first."""


def ranked(source: str, passages: Sequence[int], scores: Sequence[float]) -> list[Candidate]:
    """Candidates in the order given, ranks from 1."""
    pairs = zip(passages, scores, strict=True)
    return [Candidate(int(passage), source, rank, float(score)) for rank, (passage, score) in enumerate(pairs, start=1)]


def highest(
    mine: Mine, source: str, n: int, scores_of: Callable[[slice], FloatArray], above: float = -np.inf
) -> list[list[Candidate]]:
    """For each question the *n* passages with the highest scores above *above*, its positives left out.

    *scores_of* takes some of the questions, at most QUESTIONS_AT_ONCE, and gives `(q, n_passages)`.
    """
    found: list[list[Candidate]] = []
    for start in range(0, len(mine), QUESTIONS_AT_ONCE):
        some = slice(start, min(start + QUESTIONS_AT_ONCE, len(mine)))
        for row, positives in zip(scores_of(some), mine.positives[some], strict=True):
            first = top(row, n + len(positives)).tolist()
            best = [passage for passage in first if row[passage] > above and passage not in positives][:n]
            found.append(ranked(source, best, row[best].tolist()))
    return found
