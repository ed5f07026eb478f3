"""The one call the product exists for: a question (and what was said before) → an answer, streamed and remembered."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypedDict, Unpack

from rag.answering.followups import N_NEARBY_HITS, refers_back, scores_higher, stays_on_subject
from rag.answering.followups import with_previous_question as with_earlier
from rag.answering.stored_answers import to_row
from rag.citations.citation_marks import CitationMarkFilter
from rag.citations.citations import check_citations, drop_unsupported_sentences
from rag.errors import UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.abstention import SHIPPED_THRESHOLD, AbstentionThreshold
from rag.generation.chat.chat_model import NEVER_SET
from rag.generation.generator import AnswerDraft, GenerationRequest, Generator
from rag.library.library import Library
from rag.library.search_filter import NO_FILTER, SearchFilter
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import Answer, CheckedSentence, Hit, ShownPassage, Turn, utc_now
from rag.retrieval.retriever import Retriever, SearchResult

MAX_QUESTION_LENGTH = 2000  # characters; the encoder reads some hundred, and a page pasted by mistake is no question
NO_ANSWER_TEXT = "I found nothing in your documents that answers this."
EMPTY_LIBRARY_REASON = (
    'the library holds no documents yet: add some with "nightjar ingest PATH", or on the Library page'
)

NO_PASSAGE_REASON = "no passage was found for the question, in the documents that were to be searched"

RewriteQuestion = Callable[[str, Sequence[tuple[str, str]]], str]
"""A question and the earlier questions and answers → the question as it can be searched alone."""
UNSUPPORTED_REASON = "no sentence of the language model's answer is supported by the passages that it names"

TurnOrigin = Literal["asked", "imported", "simulated"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFinished:
    """The first event of a turn: what was found."""

    hits: tuple[Hit, ...]
    encoder_id: str
    seconds: float
    turn_id: str
    question: str
    """As it was searched; another one than was asked if a follow-up was made to stand alone."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text; the pieces together are the text."""

    delta: str


class AnswerOptions(TypedDict, total=False):
    """What can be said along with a question; see `Answerer.stream`."""

    history: Sequence[tuple[str, str]]
    user: str
    conversation_id: str | None
    k: int | None
    where: SearchFilter
    origin: TurnOrigin
    stopped: threading.Event
    instead_of: str


class Answerer:
    """Answers questions from the library by the current retriever, and stores each turn before it is shown whole."""

    def __init__(
        self,
        retriever: Callable[[], Retriever],
        generator: Generator,
        library: Library,
        feedback: FeedbackStore,
        *,
        k: int = 6,
        rewrite_question: RewriteQuestion | None = None,
        drops_unsupported: bool = False,
        add_surrounding_text: Callable[[Sequence[Hit]], Sequence[Hit]] = tuple,
        threshold_for: Callable[[str], AbstentionThreshold] = lambda encoder_id: SHIPPED_THRESHOLD,
    ) -> None:
        """*drops_unsupported* leaves out what a language model writes and no passage supports.

        *add_surrounding_text* gives hits the text around them, for a language model to read; what it writes is checked
        against that text.
        *threshold_for* gives the bar that a version declines by.
        """
        self._retriever = retriever
        self._generator = generator
        self._library = library
        self._feedback = feedback
        self._k = k
        self._standalone = rewrite_question or _by_heuristic
        self._drops = drops_unsupported
        self._widen = add_surrounding_text
        self._bar_of = threshold_for
        self.admit: Callable[[str], None] = lambda user: None
        """Raises if a user asks too often; the application that many use sets it."""

    def answer(self, question: str, **how: Unpack[AnswerOptions]) -> Answer:
        """The finished answer; *how* and what is raised are those of `stream`."""
        *_, last = self.stream(question, **how)
        assert isinstance(last, Answer)
        return last

    def stream(
        self,
        question: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        user: str = "local",
        conversation_id: str | None = None,
        k: int | None = None,
        where: SearchFilter = NO_FILTER,
        origin: TurnOrigin = "asked",
        stopped: threading.Event = NEVER_SET,
        instead_of: str = "",
    ) -> Iterator[SearchFinished | TextDelta | Answer]:
        """Yields what was found, then the text in pieces, then the whole answer, which is stored by then.

        One retriever is taken for the whole turn, so an answer comes from exactly one version. A turn that the
        reader leaves half way is stored as far as it got: its passages were shown.
        *history* holds earlier questions, as they were typed, and their answers, oldest first: a follow-up is searched,
        answered and stored as a question that stands alone. *k* is how many passages are shown, *where* says which
        documents they may come from. Setting *stopped* ends the writing. *instead_of* is the turn
        that this one asks again, or in other words.

        Raises:
            NotFoundError: no document has a source or type that *where* names.
            UsageError: the question is empty or longer than MAX_QUESTION characters.
            TooFastError: the user asks too often.
        """
        self.admit(user)
        asked, started, asked_at = check_question(question), time.perf_counter(), utc_now()
        retriever = self._retriever()

        def find(text: str, n: int = k or self._k) -> SearchResult:
            return retriever.find(text, n, user, where)

        question, found = self._searched(asked, history, find)
        hits = tuple(found.hits)
        answer = Answer(
            turn_id=uuid.uuid4().hex,
            question=question,
            text="",
            declined=False,
            reason="",
            encoder_id=retriever.encoder_id,
            hits=hits,
            asked=asked,
            rerank_is_cut=found.rerank_is_cut,
        )
        draft, wide = AnswerDraft(), tuple(self._widen(hits))
        try:
            yield SearchFinished(
                hits=hits,
                encoder_id=retriever.encoder_id,
                seconds=time.perf_counter() - started,
                turn_id=answer.turn_id,
                question=question,
            )
            bar = self._bar_of(retriever.encoder_id)
            for piece in self._drafts(
                GenerationRequest(
                    question=question,
                    hits=hits,
                    encoder=retriever.reader,
                    history=history,
                    stopped=stopped,
                    hits_with_context=wide,
                    bar=bar,
                )
            ):
                draft += piece
                if piece.text and (not self._drops or _quotes(piece)):
                    yield TextDelta(piece.text)
            if self._drops and not _quotes(draft):  # only now is it known which sentences stay
                yield TextDelta(_finished(answer, draft, wide, 0.0, drops=True).text)
        finally:  # also if the reader left, or the generator failed: what was shown stays known
            answer = _finished(answer, draft, wide, time.perf_counter() - started, drops=self._drops)
            turn = _turn(answer, conversation_id or answer.turn_id, user, asked_at, origin)
            self._feedback.record_turn(turn, to_row(answer, retriever.index_state, instead_of))
        yield answer

    def _searched(
        self, asked: str, history: Sequence[tuple[str, str]], find: Callable[..., SearchResult]
    ) -> tuple[str, SearchResult]:
        """The question as it is searched, and what it finds. *find* takes a text and, if need be, how many hits.

        If the questions before a follow-up were only put in front of it, it is searched alone too, and stays alone
        unless they bring more, and something that it asks for itself.
        """
        question = self._standalone(asked, history)[-MAX_QUESTION_LENGTH:]
        found = find(question)
        if question == asked or question != _by_heuristic(asked, history)[-MAX_QUESTION_LENGTH:]:
            return question, found
        alone = find(asked)
        goes_on = scores_higher(found.hits, alone.hits) and (
            refers_back(asked) or stays_on_subject(found.hits, find(asked, N_NEARBY_HITS).hits)
        )
        return (question, found) if goes_on else (asked, alone)

    def _drafts(self, evidence: GenerationRequest) -> Iterator[AnswerDraft]:
        """The generator's pieces; if it declines, or there is nothing to read, a sentence that says so."""
        if not evidence.hits:
            empty = self._library.n_passages() == 0
            yield AnswerDraft(NO_ANSWER_TEXT, declined=EMPTY_LIBRARY_REASON if empty else NO_PASSAGE_REASON)
            return
        yield from _marked(self._generator.stream(evidence), {hit.rank for hit in evidence.hits})


def _marked(pieces: Iterator[AnswerDraft], valid: set[int]) -> Iterator[AnswerDraft]:
    """The pieces without marks that name no hit, none of them ending inside a mark; what brings citations is left as it is."""
    marks = CitationMarkFilter(valid)
    for piece in pieces:
        if piece.declined or piece.citations:
            yield AnswerDraft(marks.flush())
            yield replace(piece, text=piece.text or NO_ANSWER_TEXT)
        else:
            yield replace(piece, text=marks.add(piece.text))
    yield AnswerDraft(marks.flush())


def _by_heuristic(question: str, history: Sequence[tuple[str, str]]) -> str:
    return with_earlier(question, [earlier for earlier, _ in history])


def check_question(question: str) -> str:
    """The question without white space around it.

    Raises:
        UsageError: it is empty or longer than MAX_QUESTION characters.
    """
    question = replace_unstorable(question).strip()
    if not question:
        raise UsageError("the question is empty: ask something in a few words")
    if len(question) > MAX_QUESTION_LENGTH:
        raise UsageError(
            f"the question has {len(question):,} characters, at most {MAX_QUESTION_LENGTH:,} are read: "
            "ask in a few sentences"
        )
    return question


def _quotes(draft: AnswerDraft) -> bool:
    """Whether it says only what the generator itself can prove, or that there is no answer."""
    return bool(draft.declined or draft.citations)


def _finished(answer: Answer, draft: AnswerDraft, wide: Sequence[Hit], seconds: float, *, drops: bool) -> Answer:
    """The answer with the draft's text; citations are found here, in the *wide* hits, if the generator gave none."""
    answer = replace(answer, fell_back=draft.fell_back)
    if _quotes(draft):
        checked = tuple(CheckedSentence(citation.quote, citation.support) for citation in draft.citations)
        return replace(
            answer,
            text=draft.text,
            declined=bool(draft.declined),
            reason=draft.declined,
            citations=draft.citations,
            sentences=checked,
            seconds=seconds,
        )
    text = drop_unsupported_sentences(draft.text, wide) if drops else draft.text
    if drops and draft.text and not text:
        return replace(answer, text=NO_ANSWER_TEXT, declined=True, reason=UNSUPPORTED_REASON, seconds=seconds)
    cited = check_citations(text, wide)
    if cited.unsupported:
        log.info("turn %s: %d sentences without support", answer.turn_id, len(cited.unsupported))
    # The text is what the reader was shown: the marks that cite takes out were held back while it was streamed.
    return replace(answer, text=text, citations=cited.citations, sentences=cited.sentences, seconds=seconds)


def _turn(answer: Answer, conversation_id: str, user: str, asked_at: datetime, origin: TurnOrigin) -> Turn:
    cited = {citation.passage_id for citation in answer.citations}
    shown = tuple(
        ShownPassage(
            passage_id=hit.passage.passage_id,
            rank=hit.rank,
            score=hit.score,
            dense=hit.dense,
            lexical=hit.lexical,
            cited=hit.passage.passage_id in cited,
        )
        for hit in answer.hits
    )
    return Turn(
        turn_id=answer.turn_id,
        conversation_id=conversation_id,
        user=user,
        question=answer.question,
        answer=answer.text,
        declined=answer.declined,
        encoder_id=answer.encoder_id,
        asked_at=asked_at,
        origin=origin,
        shown=shown,
        asked=answer.asked,
    )
