"""Questions searched with their right passages in the library and without them: the examples for learning to decline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.arrays import FloatArray
from rag.embedding.protocols import TextEncoder
from rag.generation.abstention import AnswerabilityFeatures
from rag.generation.extractive import answerability_features
from rag.index.bm25 import Bm25Index
from rag.records import Hit, Passage
from rag.retrieval.fusion import fuse_scores, normalise_bm25, top_fused
from retriever_training.cold_start.pseudo_rows import PseudoQuestionSet

N_CANDIDATES = 100  # passages of each side, dense and lexical, as in serving


@dataclass(frozen=True, slots=True)
class AbstentionExample:
    """The features of a question's hits, and whether a right passage was among them."""

    signs: AnswerabilityFeatures
    is_answered: bool
    best_cosine: float
    """The highest cosine of a passage: what simpler systems decline by."""


@dataclass(frozen=True, slots=True)
class SearchableLibrary:
    """Passages, vectors and word index of a library, all in one order."""

    passages: Sequence[Passage]
    vectors: FloatArray
    """`(n, dim)`, unit rows."""
    lexical: Bm25Index
    lexical_weight: float

    def hits(self, question: str, vector: FloatArray, k: int, excluded_rows: Sequence[int] = ()) -> list[Hit]:
        """Returns the best *k* for *question*, whose vector is `(dim,)`, as if *excluded_rows* were not in the library."""
        words, dense = np.array(self.lexical.scores(question)), self.vectors @ vector
        words[list(excluded_rows)], dense[list(excluded_rows)] = 0.0, -np.inf
        lexical = normalise_bm25(words)
        best = top_fused(dense, lexical, self.lexical_weight, N_CANDIDATES, min(k, len(dense) - len(excluded_rows)))
        scores = fuse_scores(dense, lexical, self.lexical_weight)
        return [
            Hit(
                passage=self.passages[row],
                rank=rank,
                score=float(scores[row]),
                dense=float(dense[row]),
                lexical=float(lexical[row]),
            )
            for rank, row in enumerate(best, start=1)
        ]


@dataclass(frozen=True, slots=True)
class AnswerableQuestions:
    """Questions, their vectors, and the rows of the passages that answer them."""

    texts: Sequence[str]
    vectors: FloatArray
    """`(q, dim)`, unit rows."""
    right: Sequence[Sequence[int]]


def with_and_without_positives(
    holdings: SearchableLibrary,
    asked: AnswerableQuestions,
    encoder: TextEncoder,
    k: int,
    progress: Callable[[int], None] = lambda n: None,
) -> Iterator[tuple[AbstentionExample, AbstentionExample]]:
    """Yields for each question its example with the right rows in the library, and the one without them."""
    for question, vector, rows in zip(asked.texts, asked.vectors, asked.right, strict=True):
        found = {holdings.passages[row].passage_id for row in rows}
        there, gone = (holdings.hits(question, vector, k, without) for without in ((), rows))
        shown = any(hit.passage.passage_id in found for hit in there)
        yield _example(question, there, encoder, shown), _example(question, gone, encoder, is_answered=False)
        progress(1)


def out_of_domain(
    holdings: SearchableLibrary, asked: AnswerableQuestions, encoder: TextEncoder, k: int
) -> Iterator[AbstentionExample]:
    """Yields the features of questions that other documents answer."""
    for question, vector in zip(asked.texts, asked.vectors, strict=True):
        yield _example(question, holdings.hits(question, vector, k), encoder, is_answered=False)


def without_question_text(passages: Sequence[Passage], cold: PseudoQuestionSet) -> list[Passage]:
    """Returns the passages without the words that became their own questions."""
    return [
        passage
        if left == passage.encoded_text
        else replace(passage, title="", heading="", text=left, end=passage.start + len(left))
        for passage, left in zip(passages, cold.texts, strict=True)
    ]


def _example(question: str, hits: Sequence[Hit], encoder: TextEncoder, is_answered: bool) -> AbstentionExample:
    nearest = max((hit.dense for hit in hits), default=0.0)
    return AbstentionExample(answerability_features(question, hits, encoder), is_answered, nearest)
