"""Dense negatives: passages that the current version takes for right (ANCE, Xiong et al. 2021)."""

from __future__ import annotations

from retriever_training.negatives.mine import Candidate, Mine, highest


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """The *n* passages of highest cosine for each question, its positives left out."""
    return highest(mine, "dense", n, lambda some: mine.question_vectors[some] @ mine.passage_vectors.T)
