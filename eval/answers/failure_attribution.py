"""The first cause of a question's failure, and how it changed from one version to the next. Needs no library and no model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rag.errors import NotFoundError, UsageError

Cause = Literal[
    "error",
    "answered the unanswerable",
    "citation wrong",
    "not in the library",
    "not in the top 100",
    "retrieved but not used",
    "cut by the splitting",
    "declined wrongly",
    "answer wrong",
    "right",
]

CAUSES: tuple[Cause, ...] = (
    "right",
    "not in the library",
    "not in the top 100",
    "retrieved but not used",
    "cut by the splitting",
    "answer wrong",
    "citation wrong",
    "declined wrongly",
    "answered the unanswerable",
    "error",
)
"""In the order in which they are reported: from the library to the answer."""

RETRIEVED_DEPTH = 100
"""Ranks in which a right passage counts as retrieved."""

assert set(CAUSES) == set(get_args(Cause))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTrace:
    """How one question fared on its way from the library to the answer."""

    query_id: str
    question: str
    is_answerable: bool = True
    """False if declining is right."""
    error: str = ""
    """What went wrong; empty if the question was answered or declined."""
    declined: bool = False
    is_right: bool = False
    """Whether the answer is right, by the strictest criterion that is known."""
    is_cited_right: bool = True
    """Whether each sentence is supported by what it cites."""
    in_library: bool = True
    """Whether a right passage is in the library."""
    rank: int | None = None
    """Of the best right passage, 1-based; None if it is not among the first RETRIEVED_DEPTH."""
    n_read: int = 0
    """How many passages the answer was made of."""
    is_read: bool = False
    """Whether a right passage is among them."""
    is_cut: bool = False
    """Whether no passage holds the whole right text, because the splitting cut through it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributedQuestion:
    """A question and its first cause."""

    query_id: str
    question: str
    cause: Cause
    rank: int | None
    error: str

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def first_cause(trace: AnswerTrace) -> Cause:
    """The first thing that went wrong, from the library to the answer; "right" if nothing did.

    How a right answer came about does not matter: another passage may have held it.

    >>> first_cause(AnswerTrace(query_id="q", question="Who?", rank=3, is_read=True, is_right=True))
    'right'
    >>> first_cause(AnswerTrace(query_id="q", question="Who?", declined=True, rank=None))
    'not in the top 100'
    >>> first_cause(AnswerTrace(query_id="q", question="Who?", declined=True, rank=1, is_read=True))
    'declined wrongly'
    """
    if trace.error:
        return "error"
    if not trace.is_answerable:
        return "right" if trace.declined else "answered the unanswerable"
    if trace.is_right and not trace.declined:
        return "right" if trace.is_cited_right else "citation wrong"
    return _on_the_way(trace)


def _on_the_way(trace: AnswerTrace) -> Cause:
    if not trace.in_library:
        return "not in the library"
    if trace.rank is None:
        return "not in the top 100"
    if not trace.is_read:
        return "retrieved but not used"
    if trace.is_cut:
        return "cut by the splitting"
    return "declined wrongly" if trace.declined else "answer wrong"


def attribute_failures(traces: Sequence[AnswerTrace]) -> list[AttributedQuestion]:
    """Every question with its first cause, in the order given."""
    return [
        AttributedQuestion(
            query_id=trace.query_id,
            question=trace.question,
            cause=first_cause(trace),
            rank=trace.rank,
            error=trace.error,
        )
        for trace in traces
    ]


def count_causes(attributed: Sequence[AttributedQuestion]) -> dict[Cause, int]:
    """How many questions each cause has, in the order of CAUSES; causes without a question are 0."""
    found = Counter(question.cause for question in attributed)
    return {cause: found[cause] for cause in CAUSES}


def worst_failures(attributed: Sequence[AttributedQuestion], n: int = 20) -> list[AttributedQuestion]:
    """Up to *n* questions that failed; those whose cause comes first are first, because mending it helps all later steps."""
    failed = [question for question in attributed if question.cause != "right"]
    return sorted(failed, key=lambda one: (CAUSES.index(one.cause), one.query_id))[:n]


@dataclass(frozen=True, slots=True)
class CauseChange:
    """One question under two versions."""

    query_id: str
    question: str
    before: Cause
    after: Cause


@dataclass(frozen=True, slots=True)
class CauseChanges:
    """What became of the same questions from one version to the next."""

    moves: tuple[CauseChange, ...]

    @property
    def fixed(self) -> tuple[CauseChange, ...]:
        """Wrong before, right now."""
        return tuple(move for move in self.moves if move.before != "right" and move.after == "right")

    @property
    def broken(self) -> tuple[CauseChange, ...]:
        """Right before, wrong now."""
        return tuple(move for move in self.moves if move.before == "right" and move.after != "right")

    @property
    def same(self) -> tuple[CauseChange, ...]:
        """Right both times, or wrong both times; the cause may differ."""
        return tuple(move for move in self.moves if (move.before == "right") == (move.after == "right"))

    def table(self) -> dict[str, dict[str, int]]:
        """cause before → cause after → questions, without rows and columns of zeros."""
        found = Counter((move.before, move.after) for move in self.moves)
        rows = [cause for cause in CAUSES if any(before == cause for before, _ in found)]
        columns = [cause for cause in CAUSES if any(after == cause for _, after in found)]
        return {before: {after: found[before, after] for after in columns} for before in rows}

    def as_json(self) -> dict[str, Any]:
        """For JSON: numbers, the table, and the questions that changed sides."""
        return {
            "n_questions": len(self.moves),
            "n_fixed": len(self.fixed),
            "n_broken": len(self.broken),
            "n_same": len(self.same),
            "table": self.table(),
            "fixed": [asdict(change) for change in self.fixed],
            "broken": [asdict(change) for change in self.broken],
        }


def cause_changes(before: Sequence[AttributedQuestion], after: Sequence[AttributedQuestion]) -> CauseChanges:
    """The questions that both versions were asked, in the order of *after*."""
    causes: Mapping[str, Cause] = {trace.query_id: trace.cause for trace in before}
    return CauseChanges(
        tuple(
            CauseChange(trace.query_id, trace.question, causes[trace.query_id], trace.cause)
            for trace in after
            if trace.query_id in causes
        )
    )


def read_attributed(file: Path) -> list[AttributedQuestion]:
    """The questions and causes of a run, from the lines that `nightjar eval answers --rows` wrote.

    Raises:
        NotFoundError: there is no such file.
        UsageError: a line is not such a row.
    """
    if not file.is_file():
        raise NotFoundError(f'no file {str(file)!r}: name one that "nightjar eval answers --rows" wrote')
    found = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            cause: Cause = CAUSES[CAUSES.index(row["cause"])]
            found.append(
                AttributedQuestion(
                    query_id=row["query_id"],
                    question=row["question"],
                    cause=cause,
                    rank=row["rank"],
                    error=row["error"],
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{file.name}:{number} is no row of a measured answer ({error!r}): write the file anew with "
                '"nightjar eval answers --rows"'
            ) from error
    return found
