"""What a report is made from: questions with their right passages, and what one, two or three versions found for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.answers.failure_changes import FailureCauses
from rag.arrays import BoolArray, DoubleArray
from rag.records import Citation, Passage


@dataclass(frozen=True, slots=True)
class PassageVotes:
    """What people said of one passage for a question."""

    passage_id: str | None
    """None if the verdict is about an answer."""
    verdict: str
    n_people: int
    comment: str = ""
    """The latest one that is not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuestion:
    """One question of a report."""

    query_id: str
    text: str
    right: Mapping[str, int]
    """passage_id → grade; right if above 0."""
    source: str = ""
    """The document of its best right passage."""
    language: str = ""
    """ISO 639-1; empty if it is unknown."""
    is_unseen: bool = False
    """No right passage was a positive of the candidate's training."""
    is_newest: bool = False
    """Among those judged last."""
    is_decisive: bool = True
    """The primary measure looks at it."""
    is_locked: bool = False
    """Kept out of every decision."""
    votes: tuple[PassageVotes, ...] = ()

    @property
    def right_ids(self) -> frozenset[str]:
        """The passages that are right."""
        return frozenset(passage_id for passage_id, grade in self.right.items() if grade > 0)


@dataclass(frozen=True, slots=True)
class AbstentionScores:
    """How confident a version was about some questions, with their right passages in the library and without them."""

    there: DoubleArray
    """`(n,)`, 0 to 1."""
    gone: DoubleArray
    """`(n,)`, 0 to 1."""
    right_is_shown: BoolArray
    """`(n,)`: whether a right passage was among those shown."""
    least: float
    """The version declines below this."""


@dataclass(frozen=True, slots=True)
class AnswerSummary:
    """What a version answers to one question."""

    text: str
    reason: str = ""
    """Why it declined; empty if it answered."""
    error: str = ""
    citations: tuple[Citation, ...] = ()


Answer = Callable[[Sequence[str]], Mapping[str, Mapping[str, AnswerSummary]]]
"""Query ids → query id → version → its answer, for the questions that are shown."""


@dataclass(frozen=True, slots=True)
class VersionRun:
    """What one version found."""

    version_id: str
    run: Mapping[str, Sequence[str]]
    """query_id → passage ids, best first, 100 at most; a question without results is absent or empty, and counts as 0."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """query_id → what went wrong: such a question has no value, and is counted separately."""
    sureness: AbstentionScores | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that a report shows of the questions."""

    questions: tuple[ReportQuestion, ...]
    current: VersionRun
    candidate: VersionRun | None = None
    """None if one version is measured alone."""
    anchor: VersionRun | None = None
    """The version that everything began with, frozen."""
    read: Callable[[Sequence[str]], Mapping[str, Passage]] = lambda ids: {}
    """Passage ids → passages, for those that are shown; what is not in the library is absent."""
    causes: FailureCauses | None = None
    """Of a few of these questions and of golden ones; None if nothing was answered."""
    answer: Answer = lambda ids: {}
    """Called once, for the first of the questions that are shown."""

    @property
    def versions(self) -> dict[str, VersionRun]:
        """current, candidate and anchor, as far as they are there."""
        named = {"current": self.current, "candidate": self.candidate, "anchor": self.anchor}
        return {name: run for name, run in named.items() if run is not None}

    def qrels(self) -> dict[str, dict[str, int]]:
        """query id → passage id → grade."""
        return {question.query_id: dict(question.right) for question in self.questions}

    def mask(self, claim: Callable[[ReportQuestion], bool]) -> BoolArray:
        """`(n,)`: the questions of which *claim* is true."""
        return np.array([claim(question) for question in self.questions], np.bool_)
