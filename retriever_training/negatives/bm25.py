"""BM25 negatives: passages that share the question's words and were not right (DPR, Karpukhin et al. 2020)."""

from __future__ import annotations

from retriever_training.negatives.mine import Candidate, Mine, highest


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """The *n* passages of highest BM25 above 0 for each question, its positives left out."""
    return highest(mine, "bm25", n, lambda some: mine.lexical.score_matrix(mine.questions[some]), above=0.0)
