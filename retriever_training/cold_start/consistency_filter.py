"""Which pseudo-questions are consistent: the base finds their passage by what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag.arrays import FloatArray
from rag.retrieval.fusion import normalise_bm25, top_fused
from retriever_training.cold_start.pseudo_questions import PseudoQuestion

MAX_RANK = 10  # among which the passage must be
N_CANDIDATES = 100  # of each side, as in serving
QUESTIONS_PER_BLOCK = 256  # × 100,000 passages: a 100 MB matrix


class RemainderBm25(Protocol):
    """BM25 over what is left of the passages."""

    def score_matrix(self, questions: Sequence[str]) -> FloatArray:
        """`(q, n)` float32."""


def find_consistent_passages(
    questions: Sequence[PseudoQuestion],
    asked: FloatArray,
    passages: FloatArray,
    lexical: RemainderBm25,
    lexical_weight: float,
    top: int = MAX_RANK,
) -> list[list[int]]:
    """For each question those of its passages that are served among the first *top*, best first; of a summary's, one.

    *asked* `(q, dim)` and *passages* `(n, dim)`, like *lexical*, are without the questions' own words: with them nearly
    everything is found, and the check says nothing (headings .97 and first sentences .99 among the first ten on
    feedbackqa-uk, against .76 and .72). The idea is that of Promptagator's round trip (Dai et al., ICLR 2023).
    """
    found: list[list[int]] = []
    for start in range(0, len(questions), QUESTIONS_PER_BLOCK):
        some = slice(start, start + QUESTIONS_PER_BLOCK)
        words = lexical.score_matrix([pseudo_question.question for pseudo_question in questions[some]])
        for pseudo_question, cosines, scores in zip(questions[some], asked[some] @ passages.T, words, strict=True):
            first = top_fused(cosines, normalise_bm25(scores), lexical_weight, N_CANDIDATES, top + 1)
            served = [int(row) for row in first if row != pseudo_question.verbatim_row][:top]
            right = [row for row in served if row in pseudo_question.left]
            found.append(right[:1] if pseudo_question.source == "summary" else right)
    return found
