"""Finds the consistent pseudo-questions: those whose passage the base finds by its remaining text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag.arrays import FloatArray
from rag.retrieval.fusion import normalise_bm25, top_fused
from retriever_training.cold_start.pseudo_questions import PseudoQuestion

MAX_RANK = 10  # the passage must be among this many
N_CANDIDATES = 100  # passages of each side, dense and lexical, as in serving
QUESTIONS_PER_BLOCK = 256  # with 100,000 passages their scores are a 100 MB matrix


class RemainderBm25(Protocol):
    """BM25 over the passages' remaining texts."""

    def score_matrix(self, questions: Sequence[str]) -> FloatArray:
        """Returns the scores, `(q, n)` float32."""


def find_consistent_passages(
    questions: Sequence[PseudoQuestion],
    asked: FloatArray,
    passages: FloatArray,
    lexical: RemainderBm25,
    lexical_weight: float,
    top: int = MAX_RANK,
) -> list[list[int]]:
    """Returns for each question its passages among the first *top* hits, best first; only the best for a summary.

    The vectors *asked* `(q, dim)` and *passages* `(n, dim)`, like *lexical*, lack the questions' own words: with them
    nearly everything is found, and the check says nothing (headings .97 and first sentences .99 among the first ten on
    feedbackqa-uk, against .76 and .72). The idea is that of Promptagator's round trip (Dai et al., ICLR 2023).
    """
    found: list[list[int]] = []
    for start in range(0, len(questions), QUESTIONS_PER_BLOCK):
        block = slice(start, start + QUESTIONS_PER_BLOCK)
        words = lexical.score_matrix([pseudo_question.question for pseudo_question in questions[block]])
        for pseudo_question, cosines, scores in zip(questions[block], asked[block] @ passages.T, words, strict=True):
            first = top_fused(cosines, normalise_bm25(scores), lexical_weight, N_CANDIDATES, top + 1)
            served = [int(row) for row in first if row != pseudo_question.verbatim_row][:top]
            right = [row for row in served if row in pseudo_question.left]
            found.append(right[:1] if pseudo_question.source == "summary" else right)
    return found
