"""Question and hits → the answer's text, streamed: quotes or a language model's words, behind one runnable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Unpack

from rag.embedding.protocols import TextEncoder
from rag.errors import ChatModelError, ChatModelSkippedError
from rag.generation.abstention import SHIPPED_THRESHOLD, AbstentionThreshold
from rag.generation.chat.chat_model import NEVER_SET, ChatModel, ChatModelOptions
from rag.generation.extractive import ExtractiveAnswer, extract_answer
from rag.records import Citation, Hit

EXTRACTIVE = "extractive"
MODEL_FAILED_NOTE = (
    "The language model could not answer, so here are the best sentences of your documents instead, word for word."
)
MODEL_SKIPPED_NOTE = (
    "The language model was not asked this time ({reason}), so here are the best sentences of your documents instead, "
    "word for word."
)
MODEL_BROKE_OFF_NOTE = (
    "The language model broke off, so here are the best sentences of your documents instead, word for word."
)
STOPPED_TEXT = "Stopped."
STOPPED_REASON = "it was stopped before anything was written"
NO_MODEL_ANSWER_REASON = "the language model found no answer in the passages that were found"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A question, and everything that its answer may be made of."""

    question: str
    """The question as it was searched."""
    hits: Sequence[Hit]
    encoder: TextEncoder
    """The encoder of the retriever version that found the hits."""
    history: Sequence[tuple[str, str]] = ()
    """Earlier questions of the conversation and their answers, oldest first."""
    stopped: threading.Event = NEVER_SET
    """Set when the reader stops the answer: what was written by then is the answer."""
    hits_with_context: Sequence[Hit] = ()
    """The hits with the text around them, for a language model; empty if it is to read the hits alone."""
    bar: AbstentionThreshold = SHIPPED_THRESHOLD
    """The threshold that decides whether the hits answer the question."""


@dataclass(frozen=True, slots=True)
class AnswerDraft:
    """A piece of an answer, or all of it; pieces can be added, like LangChain's message chunks.

    >>> AnswerDraft("It is open. [1]") + AnswerDraft(" Bring a mask. [2]")
    AnswerDraft(text='It is open. [1] Bring a mask. [2]', citations=(), declined='', fell_back=False)
    """

    text: str = ""
    citations: tuple[Citation, ...] = ()
    """Given by a generator that quotes; for others, rag.citations finds them."""
    declined: str = ""
    """Why there is no answer; empty if there is one."""
    fell_back: bool = False
    """Whether the language model failed, so that quotes replace or follow its answer."""

    def __add__(self, other: AnswerDraft) -> AnswerDraft:
        """Joins two pieces."""
        return AnswerDraft(
            self.text + other.text,
            self.citations + other.citations,
            self.declined + other.declined,
            self.fell_back or other.fell_back,
        )


class Generator(Protocol):
    """A writer of answers: a LangChain `Runnable[GenerationRequest, AnswerDraft]`, of which only `stream` is used."""

    def stream(self, input: GenerationRequest) -> Iterator[AnswerDraft]:
        """Yields the answer in pieces, each as soon as it is known."""


def make_generator(model: str = EXTRACTIVE, **how: Unpack[ChatModelOptions]) -> Generator:
    """Returns the generator that the setting `generator.model` names: "extractive", or a chat model "PROVIDER:NAME".

    *how* says how the chat model is reached, as in `ChatModel.open`.

    Raises:
        SettingsError: no generator has this name, or a library that it needs is not installed.
    """
    return generator_of(None if model == EXTRACTIVE else ChatModel.open(model, **how))


def generator_of(model: ChatModel | None) -> Generator:
    """Returns a generator that writes with *model*, or one that quotes if there is no model."""
    from langchain_core.runnables import RunnableLambda

    if model is None:
        return RunnableLambda(generate_extractive, name=EXTRACTIVE)
    return RunnableLambda(partial(generate_with_model, model), name=model.name)


def generate_extractive(evidence: GenerationRequest) -> Iterator[AnswerDraft]:
    """Yields the best sentences of the hits, word for word, each followed by the number of its hit."""
    extract = extract_answer(evidence.question, evidence.hits, evidence.encoder, evidence.bar)
    if extract.declined:
        yield AnswerDraft(declined=extract.declined)
    for quote in extract.quotes:
        if evidence.stopped.is_set():
            return
        yield AnswerDraft(quote.text, (quote.citation,))


def generate_with_model(model: ChatModel, evidence: GenerationRequest) -> Iterator[AnswerDraft]:
    """Yields the chat model's answer, or the best sentences if it fails; declines without asking it if nothing answers."""
    extract = extract_answer(evidence.question, evidence.hits, evidence.encoder, evidence.bar)
    if extract.declined:
        yield AnswerDraft(declined=extract.declined)
        return
    has_begun = False
    try:
        for piece in model.stream(
            evidence.question, evidence.hits, evidence.history, evidence.stopped, evidence.hits_with_context
        ):
            has_begun = True
            yield AnswerDraft(piece)
    except ChatModelError as error:
        log.warning("the language model failed (%s): the best sentences are quoted instead", error)
        yield from _instead(extract, MODEL_BROKE_OFF_NOTE if has_begun else _why_not(error), has_begun=has_begun)
        return
    if not has_begun:
        was_stopped = evidence.stopped.is_set()
        yield (
            AnswerDraft(STOPPED_TEXT, declined=STOPPED_REASON)
            if was_stopped
            else AnswerDraft(declined=NO_MODEL_ANSWER_REASON)
        )


def _why_not(error: ChatModelError) -> str:
    return MODEL_SKIPPED_NOTE.format(reason=error) if isinstance(error, ChatModelSkippedError) else MODEL_FAILED_NOTE


def _instead(extract: ExtractiveAnswer, why: str, *, has_begun: bool) -> Iterator[AnswerDraft]:
    """Yields the quotes after a sentence that says why. If a piece of an answer came before, they bring no citations:
    rag.citations then has to find those of the whole text.
    """
    yield AnswerDraft(f"\n\n{why}\n\n" if has_begun else f"{why}\n\n", fell_back=True)
    for quote in extract.quotes:
        yield AnswerDraft(quote.text, () if has_begun else (quote.citation,))
