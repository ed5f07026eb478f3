"""Question and hits → the answer's text, streamed: the models that can write it, behind one runnable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Unpack

from rag.errors import ChatModelError, ChatModelSkippedError
from rag.generation.abstention import PUBLIC, Bar
from rag.generation.chat.chat_model import NEVER, ChatModel, ChatModelOptions
from rag.generation.extractive import Extract, PassageEncoder, extract
from rag.records import Citation, Hit

EXTRACTIVE = "extractive"
NOT_WRITTEN = (
    "The language model could not answer, so here are the best sentences of your documents instead, word for word."
)
NOT_ASKED = (
    "The language model was not asked this time ({reason}), so here are the best sentences of your documents instead, "
    "word for word."
)
BROKEN_OFF = "The language model broke off, so here are the best sentences of your documents instead, word for word."
STOPPED = "Stopped."
WAS_STOPPED = "it was stopped before anything was written"
NOT_IN_PASSAGES = "the language model found no answer in the passages that were found"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer may be made of."""

    question: str
    """As it was searched."""
    hits: Sequence[Hit]
    encoder: PassageEncoder
    """Of the version that found the hits."""
    history: Sequence[tuple[str, str]] = ()
    """Earlier questions of the conversation and their answers, oldest first."""
    stopped: threading.Event = NEVER
    """Set by a reader who has read enough: what was written by then is the answer."""
    wide: Sequence[Hit] = ()
    """The hits with the text around them, for a model that reads; none where it is to read the hits alone."""
    bar: Bar = PUBLIC
    """What decides whether the hits answer the question."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A piece of an answer, or all of it: pieces add up, as LangChain's message chunks do.

    >>> Draft("It is open. [1]") + Draft(" Bring a mask. [2]")
    Draft(text='It is open. [1] Bring a mask. [2]', citations=(), declined='')
    """

    text: str = ""
    citations: tuple[Citation, ...] = ()
    """Given by a generator that quotes; for others, rag.cite finds them."""
    declined: str = ""
    """Why there is no answer; empty where there is one."""

    def __add__(self, other: Draft) -> Draft:
        """The two pieces as one."""
        return Draft(self.text + other.text, self.citations + other.citations, self.declined + other.declined)


class Generator(Protocol):
    """What answers are written by: a LangChain `Runnable[Evidence, Draft]`, of which we use the streaming verb."""

    def stream(self, input: Evidence) -> Iterator[Draft]:
        """The answer in pieces, the first as soon as it is known."""


def make_generator(model: str = EXTRACTIVE, **how: Unpack[ChatModelOptions]) -> Generator:
    """The generator that the setting `generator.model` names: "extractive", or a chat model "PROVIDER:NAME".

    *how* says how the chat model is reached, as in `ChatModel.open`.

    Raises:
        SettingsError: there is none of this name, or what it needs is not installed.
    """
    return generator_of(None if model == EXTRACTIVE else ChatModel.open(model, **how))


def generator_of(model: ChatModel | None) -> Generator:
    """Writes by *model*; without one, quotes."""
    from langchain_core.runnables import RunnableLambda

    if model is None:
        return RunnableLambda(quote_best, name=EXTRACTIVE)
    return RunnableLambda(partial(write, model), name=model.name)


def quote_best(evidence: Evidence) -> Iterator[Draft]:
    """The best sentences of the hits, word for word, each followed by the number of its hit."""
    extract_of = extract(evidence.question, evidence.hits, evidence.encoder, evidence.bar)
    if extract_of.declined:
        yield Draft(declined=extract_of.declined)
    for quote in extract_of.quotes:
        if evidence.stopped.is_set():
            return
        yield Draft(quote.text, (quote.citation,))


def write(model: ChatModel, evidence: Evidence) -> Iterator[Draft]:
    """What the chat model makes of the hits; the best sentences where it fails; it is not asked where they support nothing."""
    extract_of = extract(evidence.question, evidence.hits, evidence.encoder, evidence.bar)
    if extract_of.declined:
        yield Draft(declined=extract_of.declined)
        return
    has_begun = False
    try:
        for piece in model.stream(evidence.question, evidence.hits, evidence.history, evidence.stopped, evidence.wide):
            has_begun = True
            yield Draft(piece)
    except ChatModelError as error:
        log.warning("the language model failed (%s): the best sentences are quoted instead", error)
        yield from _instead(extract_of, BROKEN_OFF if has_begun else _why_not(error), has_begun=has_begun)
        return
    if not has_begun:
        was_stopped = evidence.stopped.is_set()
        yield Draft(STOPPED, declined=WAS_STOPPED) if was_stopped else Draft(declined=NOT_IN_PASSAGES)


def _why_not(error: ChatModelError) -> str:
    return NOT_ASKED.format(reason=error) if isinstance(error, ChatModelSkippedError) else NOT_WRITTEN


def _instead(extract_of: Extract, why: str, *, has_begun: bool) -> Iterator[Draft]:
    """The quotes, after a sentence that says why. Below a piece of an answer they bring no citations: rag.cite has to
    find those of the whole text then."""
    yield Draft(f"\n\n{why}\n\n" if has_begun else f"{why}\n\n")
    for quote in extract_of.quotes:
        yield Draft(quote.text, () if has_begun else (quote.citation,))
