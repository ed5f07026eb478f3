"""Asks a set of questions the way people do and stores nothing: each becomes an answer or an error, never a gap."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from eval.answers.failure_attribution import RETRIEVED_DEPTH
from eval.datasets.question_sets import EvalQuestion
from rag.answering.answerer import Answerer
from rag.embedding.embedding_cache import CachedEncoder, EmbeddingCache
from rag.embedding.protocols import VersionEncoder
from rag.errors import NightjarError
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.abstention import AbstentionThreshold
from rag.generation.extractive import extract_answer
from rag.records import Answer, Hit, Turn
from rag.retrieval.retriever import Retriever

FALLBACK_ERROR = "the language model wrote no answer"
"""The error of an answer whose language model failed. The quotes that replace it help people, but must not count in a
measure."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOutcome:
    """What became of one question."""

    question: EvalQuestion
    is_there: bool
    """False if it was asked with its right passages taken away."""
    answer: Answer | None
    """None if answering failed."""
    error: str
    """What went wrong; empty if nothing did."""
    sureness: float
    """The probability that the passages answer it, 0 to 1; it decides whether to decline."""
    rank: int | None
    """Of the best right passage among the first RETRIEVED_DEPTH, 1-based."""
    ms: float
    """From the question to the whole answer."""

    @property
    def is_answerable(self) -> bool:
        """Whether the documents that were searched answer it."""
        return self.is_there and self.question.is_answerable


class NullFeedback(FeedbackStore):
    """Feedback that is thrown away: measuring must not store turns that nobody asked."""

    def record_turns(self, new: Sequence[Turn], details: str = "") -> None:
        """Does nothing."""


class PerQuestionCachedEncoder(CachedEncoder):
    """An encoder that encodes each text of one question once; `forget` is called between two questions."""

    def __init__(self, encoder: VersionEncoder) -> None:
        self._own = EmbeddingCache()
        super().__init__(encoder, self._own)

    def forget(self) -> None:
        """Forgets every text."""
        self._own.clear()


AnswererOf = Callable[[Retriever], Answerer]
LeaveOutRetriever = Callable[[frozenset[str]], Retriever]
"""Ids of passages that are taken away → a retriever over the others, whose encoder is a `PerQuestionCachedEncoder`."""


def ask_questions(
    questions: Iterable[EvalQuestion],
    retriever_of: LeaveOutRetriever,
    answerer_of: AnswererOf,
    threshold: AbstentionThreshold,
    *,
    leave_out_too: bool,
    progress: Callable[[int], None] = lambda n: None,
) -> Iterator[AnswerOutcome]:
    """Asks every question; *leave_out_too* asks those with right passages once more with these taken away.

    An exception becomes an outcome with an error, and the other questions are still asked.
    """
    whole = retriever_of(frozenset())
    for question in questions:
        yield _ask(question, whole, answerer_of, threshold, is_there=True)
        if leave_out_too and question.right:
            yield _ask(question, retriever_of(question.right), answerer_of, threshold, is_there=False)
        progress(1)


def _ask(
    one: EvalQuestion, retriever: Retriever, answerer_of: AnswererOf, bar: AbstentionThreshold, *, is_there: bool
) -> AnswerOutcome:
    encoder = retriever.encoder
    if isinstance(encoder, PerQuestionCachedEncoder):
        encoder.forget()
    started = time.perf_counter()
    try:
        answer = answerer_of(retriever).answer(one.text)
        ms = 1000 * (time.perf_counter() - started)
        sureness = extract_answer(answer.question, answer.hits, encoder, bar).support if answer.hits else 0.0
        rank = (
            rank_of_right_hit(one.right, retriever.search(one.text, RETRIEVED_DEPTH))
            if is_there and one.right
            else None
        )
    except Exception as error:
        if not isinstance(error, NightjarError):
            log.exception("question %s could not be answered", one.query_id)
        ms = 1000 * (time.perf_counter() - started)
        return AnswerOutcome(
            question=one,
            is_there=is_there,
            answer=None,
            error=f"{type(error).__name__}: {error}",
            sureness=0.0,
            rank=None,
            ms=ms,
        )
    return AnswerOutcome(
        question=one,
        is_there=is_there,
        answer=answer,
        error=FALLBACK_ERROR if answer.fell_back else "",
        sureness=sureness,
        rank=rank,
        ms=ms,
    )


def rank_of_right_hit(right: frozenset[str], hits: Sequence[Hit]) -> int | None:
    """The rank of the first hit that is right, or stands for a right passage that says no more than it does."""
    return next(
        (
            hit.rank
            for hit in hits
            if {hit.passage.passage_id, *(duplicate.passage_id for duplicate in hit.also_in)} & right
        ),
        None,
    )
