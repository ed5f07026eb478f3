"""Dense negatives: passages that the current version takes for right (ANCE, Xiong et al. 2021)."""

from __future__ import annotations

from rag.fusion import top
from retriever_training.negatives.mine import Candidate, Mine, ranked

QUESTIONS_AT_ONCE = 256  # × 100,000 passages: a 100 MB matrix


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """The *n* passages of highest cosine for each question, its positives left out."""
    found: list[list[Candidate]] = []
    for start in range(0, len(mine), QUESTIONS_AT_ONCE):
        scores = mine.question_vectors[start : start + QUESTIONS_AT_ONCE] @ mine.passage_vectors.T
        for row, positives in zip(scores, mine.positives[start : start + QUESTIONS_AT_ONCE], strict=True):
            best = [int(p) for p in top(row, n + len(positives)) if int(p) not in positives][:n]
            found.append(ranked("dense", best, row[best].tolist()))
    return found
