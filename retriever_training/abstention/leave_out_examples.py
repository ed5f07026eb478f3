"""Questions with their right passages, and the same ones with these taken away: what declining is learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.generation.abstention import Signs
from rag.generation.extractive import PassageEncoder, signs_of
from rag.index.bm25 import Lexical
from rag.records import Hit, Passage
from rag.retrieval.fusion import fused, normalised_lexical, top_fused
from retriever_training.cold_start.pseudo_rows import ColdStart

FloatArray = NDArray[np.float32]

CANDIDATES = 100  # of each side, as in serving


@dataclass(frozen=True, slots=True)
class Example:
    """What could be seen of a question, and whether a right passage was among what was shown."""

    signs: Signs
    is_answered: bool
    nearest: float
    """The best cosine of a passage: what others decline by."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Passages as they are searched here, all in one order."""

    passages: Sequence[Passage]
    vectors: FloatArray
    """`(n, dim)`, unit rows."""
    lexical: Lexical
    lexical_weight: float

    def hits(self, question: str, vector: FloatArray, k: int, without: Sequence[int] = ()) -> list[Hit]:
        """The best *k* for *question*, whose vector is `(dim,)`, as if the rows *without* were not there."""
        words, dense = np.array(self.lexical.scores(question)), self.vectors @ vector
        words[list(without)], dense[list(without)] = 0.0, -np.inf
        lexical = normalised_lexical(words)
        best = top_fused(dense, lexical, self.lexical_weight, CANDIDATES, min(k, len(dense) - len(without)))
        scores = fused(dense, lexical, self.lexical_weight)
        return [
            Hit(self.passages[row], rank, float(scores[row]), float(dense[row]), float(lexical[row]))
            for rank, row in enumerate(best, start=1)
        ]


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions, what they read as, and the rows that answer them."""

    texts: Sequence[str]
    vectors: FloatArray
    """`(q, dim)`, unit rows."""
    right: Sequence[Sequence[int]]


def both_ways(
    holdings: Holdings,
    asked: Questions,
    encoder: PassageEncoder,
    k: int,
    progress: Callable[[int], None] = lambda n: None,
) -> Iterator[tuple[Example, Example]]:
    """For each question what is seen with its right rows in the library, and without them."""
    for question, vector, rows in zip(asked.texts, asked.vectors, asked.right, strict=True):
        found = {holdings.passages[row].passage_id for row in rows}
        there, gone = (holdings.hits(question, vector, k, without) for without in ((), rows))
        shown = any(hit.passage.passage_id in found for hit in there)
        yield _example(question, there, encoder, shown), _example(question, gone, encoder, is_answered=False)
        progress(1)


def foreign(holdings: Holdings, asked: Questions, encoder: PassageEncoder, k: int) -> Iterator[Example]:
    """What is seen of questions that other documents answer."""
    for question, vector in zip(asked.texts, asked.vectors, strict=True):
        yield _example(question, holdings.hits(question, vector, k), encoder, is_answered=False)


def cut(passages: Sequence[Passage], cold: ColdStart) -> list[Passage]:
    """The passages as their own questions leave them: what was asked of one does not stand in it."""
    return [
        one if left == one.encoded_text else replace(one, title="", heading="", text=left, end=one.start + len(left))
        for one, left in zip(passages, cold.texts, strict=True)
    ]


def _example(question: str, hits: Sequence[Hit], encoder: PassageEncoder, is_answered: bool) -> Example:
    nearest = max((hit.dense for hit in hits), default=0.0)
    return Example(signs_of(question, hits, encoder), is_answered, nearest)
