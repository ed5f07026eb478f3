"""Measures one answer: whether it is right, whether its passages hold it, and whether its citations hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from eval.answers.answer_metrics import (
    contains_any_answer,
    content_f1,
    content_recall,
    exact_match,
    n_words,
    nugget_recall,
    token_f1,
)
from eval.answers.ask_questions import AnswerOutcome
from eval.answers.citation_metrics import SupportTest, alce_scores, cited_precision_recall, supports_by_spans
from eval.answers.failure_attribution import AnswerTrace
from eval.answers.faithfulness import facts_supported, k_precision, without_citation_marks
from eval.datasets.question_sets import EvalQuestion
from rag.citations.citations import split_claims
from rag.records import Answer, Citation
from rag.text.term_coverage import content_words

LONG_ANSWER = 8  # content words; a longer answer is not searched for word for word
HALF = 0.5  # an answer is right from this share of a long answer's content words on, as a sentence is supported

RightBy = Literal["nuggets", "answer", "reference", "passage", "declining", "nothing"]
"""The criterion by which an answer counts as right: the strictest that is known of the question."""

REFERENCE_MEASURES = (
    "exact_match",
    "token_f1",
    "content_f1",
    "contains_answer",
    "content_recall",
    "first_exact_match",
    "first_token_f1",
    "first_content_f1",
    "first_contains_answer",
    "nuggets_vital",
    "nuggets_okay",
)
"""Measures against a known answer: a declined or failed question is worth 0."""

GIVEN_ANSWER_MEASURES = (
    "words",
    "k_precision",
    "facts_supported",
    "citation_recall",
    "citation_precision",
    "citations_valid",
    "spans_exact",
    "right_cited_precision",
    "right_cited_recall",
)
"""Measures of answers that were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One question with its answer and everything measured on it, ready for JSON."""

    query_id: str
    question: str
    origin: str
    tags: tuple[str, ...]
    is_answerable: bool
    """False for a golden question that must be declined, and if the right passages were taken away."""
    is_there: bool
    """False if the right passages were taken away."""
    answers: tuple[str, ...]
    right: tuple[str, ...]
    """Ids of the right passages."""
    text: str
    declined: bool
    reason: str
    error: str
    read: tuple[str, ...]
    """Ids of the passages that the answer was made of, in their order."""
    cited: tuple[str, ...]
    sureness: float
    rank: int | None
    ms: float
    n_tokens_read: int
    n_tokens_written: int
    is_right: bool
    right_by: RightBy
    values: dict[str, float]
    """measure → value, 0 to 1 but for words; what does not apply is left out."""
    in_library: bool
    is_cut: bool

    def trace(self) -> AnswerTrace:
        """What attribution needs to know."""
        return AnswerTrace(
            query_id=self.query_id,
            question=self.question,
            is_answerable=self.is_answerable,
            error=self.error,
            declined=self.declined,
            is_right=self.is_right,
            is_cited_right=self.values.get("citation_recall", 1.0) == 1.0,
            in_library=self.in_library,
            rank=self.rank,
            n_read=len(self.read),
            is_read=bool(set(self.read) & set(self.right)) if self.right else True,
            is_cut=self.is_cut,
        )

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


CountTokens = Callable[[str], int]
Stored = Callable[[Citation], str]
"""A citation → what the document holds at its position."""


def measure_answer(
    asked: AnswerOutcome, stored: Stored, count_tokens: CountTokens, supports: SupportTest = supports_by_spans
) -> AnswerRow:
    """Measures one question; *supports* is the test of citations."""
    one, answer = asked.question, asked.answer
    read = _read(answer)
    cited = tuple(dict.fromkeys(citation.passage_id for citation in answer.citations)) if answer else ()
    is_given = answer is not None and not answer.declined and not asked.error
    right, by = _is_right(asked, without_citation_marks(answer.text) if answer and is_given else "", cited)
    values = _known(one, answer if is_given else None) if asked.is_answerable else {}
    if answer and is_given:
        values |= _given(answer, one.right if asked.is_answerable else frozenset(), cited, stored, supports)
    return AnswerRow(
        query_id=one.query_id if asked.is_there else f"{one.query_id} without",
        question=one.text,
        origin=one.origin,
        tags=one.tags,
        is_answerable=asked.is_answerable,
        is_there=asked.is_there,
        answers=one.answers,
        right=tuple(sorted(one.right)),
        text=answer.text if answer else "",
        declined=bool(answer and answer.declined),
        reason=answer.reason if answer else "",
        error=asked.error,
        read=tuple(read),
        cited=cited,
        sureness=round(asked.sureness, 4),
        rank=asked.rank,
        ms=round(asked.ms, 1),
        n_tokens_read=sum(count_tokens(hit.passage.encoded_text) for hit in answer.hits) if answer else 0,
        n_tokens_written=count_tokens(answer.text) if answer and is_given else 0,
        is_right=right,
        right_by=by,
        values={name: round(value, 5) for name, value in values.items()},
        in_library=one.in_library,
        is_cut=one.is_cut,
    )


def leading_statement(answer: Answer) -> str:
    """Returns the short answer in front, else the first sentence, without marks.

    A reader of a quoting answer reads that as the answer, and what follows as its evidence.
    """
    lead = answer.citations[0].quote if answer.citations else ""
    if lead and answer.text.startswith(f"{lead} — "):
        return lead
    return next((claim.text for claim in split_claims(answer.text)), "")


def _read(answer: Answer | None) -> list[str]:
    """The hits, and the passages that a hit stands for."""
    hits = answer.hits if answer else ()
    return [passage.passage_id for hit in hits for passage in (hit.passage, *hit.also_in)]


def _is_right(asked: AnswerOutcome, text: str, cited: Sequence[str]) -> tuple[bool, RightBy]:
    one = asked.question
    if not asked.is_answerable:
        return bool(asked.answer and asked.answer.declined and not asked.error), "declining"
    if vital := [nugget.spellings for nugget in one.nuggets if nugget.is_vital]:
        return nugget_recall(text, vital) == 1.0, "nuggets"
    if short := [answer for answer in one.answers if len(content_words(answer)) <= LONG_ANSWER]:
        return contains_any_answer(text, short), "answer"
    if one.answers:
        return content_recall(text, one.answers) >= HALF, "reference"
    if one.right or not one.in_library:
        return bool(text) and bool(set(cited) & one.right), "passage"
    return bool(text), "nothing"


def _known(one: EvalQuestion, answer: Answer | None) -> dict[str, float]:
    """Measures the whole text and its leading statement against the known answer; 0 if there is no answer."""
    text, first = (without_citation_marks(answer.text), leading_statement(answer)) if answer else ("", "")
    values: dict[str, float] = {}
    if one.answers:
        measures = (
            ("exact_match", exact_match),
            ("token_f1", token_f1),
            ("content_f1", content_f1),
            ("contains_answer", contains_any_answer),
        )
        values |= {name: float(of(text, one.answers)) for name, of in measures}
        values["content_recall"] = content_recall(text, one.answers)
        values |= {f"first_{name}": float(of(first, one.answers)) for name, of in measures}
    for name, is_vital in (("nuggets_vital", True), ("nuggets_okay", False)):
        recall = nugget_recall(text, [nugget.spellings for nugget in one.nuggets if nugget.is_vital == is_vital])
        values |= {} if recall is None else {name: recall}
    return values


def _given(
    answer: Answer, right: frozenset[str], cited: Sequence[str], stored: Stored, supports: SupportTest
) -> dict[str, float]:
    text, passages = without_citation_marks(answer.text), [hit.passage for hit in answer.hits]
    texts = [passage.encoded_text for passage in passages]
    named = [passage.encoded_text for passage in passages if passage.passage_id in cited]
    citations = alce_scores(answer.text, passages, supports)
    precision, recall = cited_precision_recall(cited, right) if right else (None, None)
    exact = [float(stored(citation) == citation.quote) for citation in answer.citations]
    values = {
        "words": float(n_words(text)),
        "k_precision": k_precision(text, [*texts, *(citation.quote for citation in answer.citations)]),
        "facts_supported": facts_supported(text, named or texts),
        "citation_recall": citations.recall,
        "citation_precision": citations.precision,
        "citations_valid": citations.valid,
        "spans_exact": sum(exact) / len(exact) if exact else None,
        "right_cited_precision": precision,
        "right_cited_recall": recall,
    }
    return {name: value for name, value in values.items() if value is not None}
