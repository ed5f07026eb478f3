"""A cross-encoder as teacher: it reads question and passage together, and sees what no two vectors show.

It is slow, so it reads only the few candidates of a question that no rule matches. Qu et al., "RocketQA", NAACL 2021,
section 4.2: below .1 a passage is a hard negative, above .9 a positive that nobody marked. They discard what lies
between; here it is kept, with the teacher's score as a soft label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from retriever_training.negatives.candidates.records import MinedNegatives, MiningContext

NEGATIVE_BELOW = 0.1
POSITIVE_ABOVE = 0.9
MAX_FINALISTS = 8
"""The number of candidates that it reads per question: 80,000 pairs for 10,000 questions."""

Zone = Literal["negative", "soft", "suspect"]


class Teacher(Protocol):
    """Whatever can say how well a passage answers a question; `rag.retrieval.cross_encoder.CrossEncoder` is one."""

    def scores(self, question: str, passages: Sequence[str]) -> FloatArray:
        """`(n,)` float32, the probability in 0 to 1 that each passage is right."""


def zone_of(score: float) -> Zone:
    """Returns the zone of a candidate by the teacher's score.

    >>> zone_of(0.05), zone_of(0.1), zone_of(0.9), zone_of(0.95)
    ('negative', 'soft', 'soft', 'suspect')
    """
    return "negative" if score < NEGATIVE_BELOW else "suspect" if score > POSITIVE_ABOVE else "soft"


class CachingTeacher:
    """A teacher that reads no pair twice, however many sources find it."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self._scores: dict[tuple[str, str], float] = {}

    def scores(self, question: str, passages: Sequence[str]) -> FloatArray:
        """Returns the scores that `Teacher.scores` describes."""
        new = [passage for passage in dict.fromkeys(passages) if (question, passage) not in self._scores]
        if new:
            for passage, score in zip(new, self._teacher.scores(question, new).tolist(), strict=True):
                self._scores[question, passage] = score
        return np.array([self._scores[question, passage] for passage in passages], np.float32)


def clipped_logits(scores: FloatArray) -> FloatArray:
    """Returns the logits of probabilities, which are clipped to a thousandth from 0 and 1.

    >>> [round(score, 2) for score in clipped_logits(np.array([0.5, 1.0], np.float32)).tolist()]
    [0.0, 6.91]
    """
    bounded = np.clip(scores, 0.001, 0.999)
    return np.asarray(np.log(bounded / (1 - bounded)), np.float32)


def choose_finalists(passages: Sequence[int], ranks: Sequence[int], n: int = MAX_FINALISTS) -> list[int]:
    """Returns the *n* passages that a teacher reads: the best of each source first, ties as given, none twice.

    >>> choose_finalists([7, 8, 9, 7], [1, 2, 1, 1], n=2)
    [7, 9]
    """
    order = sorted(range(len(passages)), key=ranks.__getitem__)
    return list(dict.fromkeys(passages[index] for index in order))[:n]


@dataclass(frozen=True, slots=True)
class TeacherScore:
    """A candidate that the teacher read."""

    question: str
    passage: int
    """Its row."""
    score: float
    zone: Zone


def scored_candidates(
    mine: MiningContext, texts: Sequence[str], mined: Sequence[MinedNegatives], teacher: Teacher
) -> Iterator[TeacherScore]:
    """Yields the teacher's scores of the candidates that it read; a `CachingTeacher` reads nothing again.

    Those of zone "suspect" are for people to review, those of zone "soft" are negatives with a label of their own.
    Passages that people rejected are not read.
    """
    for question, result in zip(mine.questions, mined, strict=True):
        kept = [candidate.passage for candidate in result.kept if candidate.source != "feedback"]
        suspected = [candidate.passage for candidate, reason in result.removed if reason == "teacher_says_positive"]
        rows = list(dict.fromkeys(kept + suspected))
        scores: NDArray[Any] = teacher.scores(question, [texts[row] for row in rows])
        for row, score in zip(rows, scores.tolist(), strict=True):
            yield TeacherScore(question, row, score, zone_of(score))
