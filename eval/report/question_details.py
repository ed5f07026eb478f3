"""Single questions as a report shows them: what both versions found, side by side, and what people said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from eval.report.compare_versions import QuestionChange, most_changed, rank_of_right_passage
from eval.report.comparison import AnswerSummary, Comparison, PassageVotes, ReportQuestion, VersionRun
from eval.report.figures import ReportFigures
from rag.records import Passage

TOP = 5  # passages of each version
SNIPPET = 280  # characters of a passage
ANSWERED = 20  # questions whose answers are shown; each costs some thirty encoded sentences
GONE = "This passage is not in the library any more."
SAID = {"helpful": "helpful", "pin": "the right passage", "not_relevant": "not relevant", "outdated": "outdated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailHit:
    """One passage as the page shows it."""

    rank: int
    where: str
    """Document and headings."""
    text: str
    is_right: bool
    cited: str = ""
    """How the answer cites it and how well that is supported; empty if it does not cite it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionDetail:
    """One question with what was found for it."""

    anchor: str
    """An id for links: letters, digits and hyphens."""
    move: str
    text: str
    ranks: str
    error: str
    current: Sequence[DetailHit]
    current_more: str
    candidate: Sequence[DetailHit]
    candidate_more: str
    missing: Sequence[DetailHit]
    """Right passages that neither version shows."""
    votes: Sequence[str]
    current_answer: AnswerSummary | None = None
    """None if the question was not answered."""
    candidate_answer: AnswerSummary | None = None


def question_details(comparison: Comparison, figures: ReportFigures, n: int) -> list[QuestionDetail]:
    """At most *n* questions: those that moved most, or of one version alone those whose right passage is lowest."""
    chosen = most_changed(figures.moved, n) if comparison.candidate else _lowest(comparison, n)
    wanted = {passage_id for moved in chosen for passage_id in _wanted(comparison, moved.question)}
    passages = comparison.read(sorted(wanted))
    answers = comparison.answer([moved.question.query_id for moved in chosen[:ANSWERED]])
    return [_drilled(comparison, moved, passages, answers.get(moved.question.query_id, {})) for moved in chosen]


def _lowest(comparison: Comparison, n: int) -> list[QuestionChange]:
    found = comparison.current
    ranked = [(rank_of_right_passage(found, question), question) for question in comparison.questions]
    low = sorted(
        (passage_id for passage_id in ranked if passage_id[0] is None or passage_id[0] > 1),
        key=lambda one: -(one[0] or 1_000),
    )
    return [
        QuestionChange(
            question=question,
            before=rank,
            after=None,
            difference=0.0,
            move="error" if question.query_id in found.errors else "same",
        )
        for rank, question in low[:n]
    ]


def _wanted(comparison: Comparison, question: ReportQuestion) -> Iterator[str]:
    yield from question.right_ids
    for run in (comparison.current, comparison.candidate):
        if run:
            yield from run.run.get(question.query_id, ())[:TOP]
    yield from (vote.passage_id for vote in question.votes if vote.passage_id)


def _drilled(
    comparison: Comparison, moved: QuestionChange, passages: Mapping[str, Passage], answers: Mapping[str, AnswerSummary]
) -> QuestionDetail:
    question, candidate = moved.question, comparison.candidate
    current_hits = _hits(comparison.current, question, passages, answers.get("current"))
    candidate_hits = _hits(candidate, question, passages, answers.get("candidate")) if candidate else []
    shown = {hit.where + hit.text for hit in (*current_hits, *candidate_hits) if hit.is_right}
    missing = [
        hit
        for passage_id in sorted(question.right_ids)
        if (hit := _hit(0, passage_id, question, passages)).where + hit.text not in shown
    ]
    errors = [run.errors[question.query_id] for run in comparison.versions.values() if question.query_id in run.errors]
    return QuestionDetail(
        anchor="q-" + re.sub(r"[^A-Za-z0-9]+", "-", question.query_id),
        move=moved.move,
        text=question.text,
        ranks=_ranks(moved, candidate is not None),
        error="; ".join(dict.fromkeys(errors)),
        current=current_hits,
        current_more=_more(moved.before),
        candidate=candidate_hits,
        candidate_more=_more(moved.after) if candidate else "",
        missing=missing,
        votes=[_vote(vote, passages) for vote in question.votes],
        current_answer=answers.get("current"),
        candidate_answer=answers.get("candidate"),
    )


def _hits(
    found: VersionRun, question: ReportQuestion, passages: Mapping[str, Passage], summary: AnswerSummary | None
) -> list[DetailHit]:
    ranked = list(found.run.get(question.query_id, ()))[:TOP]
    return [
        replace(_hit(rank, passage_id, question, passages), cited=_cited(passage_id, summary))
        for rank, passage_id in enumerate(ranked, start=1)
    ]


def _cited(passage_id: str, summary: AnswerSummary | None) -> str:
    said = [
        f"[{citation.n}] {citation.found}, {citation.support:.2f}"
        for citation in (summary.citations if summary else ())
        if citation.passage_id == passage_id
    ]
    return "; ".join(dict.fromkeys(said))


def _hit(rank: int, passage_id: str, question: ReportQuestion, passages: Mapping[str, Passage]) -> DetailHit:
    passage = passages.get(passage_id)
    is_right = passage_id in question.right_ids
    if passage is None:
        return DetailHit(rank=rank, where=passage_id, text=GONE, is_right=is_right)
    where = " · ".join(
        filter(None, (passage.source, passage.title if passage.title != passage.source else "", passage.heading))
    )
    return DetailHit(rank=rank, where=where, text=shorten(passage.text), is_right=is_right)


def shorten(text: str, n: int = SNIPPET) -> str:
    """One paragraph of at most *n* characters.

    >>> shorten("a  b", 9), shorten("abcdef", 4)
    ('a b', 'abc…')
    """
    line = " ".join(text.split())
    return line if len(line) <= n else line[: n - 1] + "…"


def _ranks(moved: QuestionChange, is_pair: bool) -> str:
    before = _place(moved.before)
    return f"right passage: {before} → {_place(moved.after)}" if is_pair else f"right passage: {before}"


def _place(rank: int | None) -> str:
    return "not found" if rank is None else f"rank {rank}"


def _more(rank: int | None) -> str:
    if rank is None:
        return "The right passage is not among those found."
    return f"The right passage is at rank {rank}." if rank > TOP else ""


def _vote(vote: PassageVotes, passages: Mapping[str, Passage]) -> str:
    passage = passages.get(vote.passage_id or "")
    what = shorten(f"{passage.source}: {passage.text}", 120) if passage else vote.passage_id or "the answer"
    people = f"{vote.n_people} people" if vote.n_people > 1 else "one person"
    comment = f" “{shorten(vote.comment)}”" if vote.comment else ""
    return f"{people}: {SAID.get(vote.verdict, vote.verdict)} – {what}{comment}"
