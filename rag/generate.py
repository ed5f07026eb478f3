"""Question and hits → the answer's text, streamed: the models that can write it, behind one runnable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.errors import SettingsError
from rag.extract import PassageEncoder, extract
from rag.records import Citation, Hit

EXTRACTIVE = "extractive"


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


def make_generator(model: str = EXTRACTIVE) -> Generator:
    """The generator that the setting `generator.model` names.

    Raises:
        SettingsError: there is none of this name.
    """
    if model != EXTRACTIVE:
        raise SettingsError(f"generator.model is {model!r}: today only {EXTRACTIVE!r} is supported, which quotes "
                            "the best sentences and needs no weights")  # fmt: skip
    from langchain_core.runnables import RunnableLambda

    return RunnableLambda(quote_best, name="extractive")


def quote_best(evidence: Evidence) -> Iterator[Draft]:
    """The best sentences of the hits, word for word, each followed by the number of its hit."""
    extract_of = extract(evidence.question, evidence.hits, evidence.encoder)
    if extract_of.declined:
        yield Draft(declined=extract_of.declined)
    for quote in extract_of.quotes:
        yield Draft(quote.text, (quote.citation,))
