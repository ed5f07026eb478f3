"""How much of the wanted text a reader sees if only a limited number of tokens is shown.

Recall, precision and intersection over union of excerpts and retrieved tokens as Smith and Troynikov define them
(Evaluating Chunking Strategies for Retrieval, Chroma, 2024). There a fixed number of passages is shown, which rewards
large ones; here a fixed number of tokens is, the last passage cut short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Token = tuple[str, int]
"""A document, and the number of a token in it."""
ExcerptTokens = tuple[frozenset[Token], ...]
"""The positions of one excerpt; any of them counts."""


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """A stretch of a document that a splitting made."""

    document: str
    start: int
    """In tokens of the document, as end is."""
    end: int
    encoded_text: str


@dataclass(frozen=True, slots=True)
class TokenOverlap:
    """The scores of one question, each from 0 to 1."""

    recall: float
    """Share of the wanted tokens that are shown; of an excerpt that is in several places, the best of them."""
    precision: float
    """Share of the shown tokens that are wanted; what is shown twice is wanted once."""
    iou: float
    """Wanted tokens shown over those shown or wanted."""


def token_overlap(ranked: Sequence[TokenSpan], wanted: Sequence[ExcerptTokens], budget: int) -> TokenOverlap:
    """What showing the first pieces, *budget* tokens in all, is worth.

    >>> spans = [TokenSpan("a", 10, 20, ""), TokenSpan("b", 0, 10, "")]
    >>> excerpts = [(token_set("a", 0, 15),), (token_set("b", 40, 45), token_set("b", 0, 5))]
    >>> token_overlap(spans, excerpts, budget=15)
    TokenOverlap(recall=0.5, precision=0.6666666666666666, iou=0.4)
    """
    shown = [(span.document, number) for span in ranked for number in range(span.start, span.end)][:budget]
    once = set(shown)
    n_found = sum(
        max(len(once & excerpt_tokens) / len(excerpt_tokens) for excerpt_tokens in excerpt) * len(excerpt[0])
        for excerpt in wanted
    )
    n_wanted = sum(len(excerpt[0]) for excerpt in wanted)
    n_right = len(
        once.intersection(*[set().union(*(excerpt_tokens for excerpt in wanted for excerpt_tokens in excerpt))])
    )
    return TokenOverlap(
        recall=n_found / n_wanted,
        precision=n_right / len(shown) if shown else 0.0,
        iou=n_found / (len(shown) + n_wanted - n_found),
    )


def token_set(document: str, start: int, end: int) -> frozenset[Token]:
    """The tokens of a stretch.

    >>> sorted(token_set("a", 3, 5))
    [('a', 3), ('a', 4)]
    """
    return frozenset((document, number) for number in range(start, end))
