"""BM25 negatives: passages that share the question's words and were not right (DPR, Karpukhin et al. 2020)."""

from __future__ import annotations

from rag.fusion import top
from retriever_training.negatives.mine import Candidate, Mine, ranked

QUESTIONS_AT_ONCE = 256  # × 100,000 passages: a 100 MB matrix


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """The *n* passages of highest BM25 above 0 for each question, its positives left out."""
    found: list[list[Candidate]] = []
    for start in range(0, len(mine), QUESTIONS_AT_ONCE):
        scores = mine.lexical.score_matrix(mine.questions[start : start + QUESTIONS_AT_ONCE])
        for row, positives in zip(scores, mine.positives[start : start + QUESTIONS_AT_ONCE], strict=True):
            best = [int(p) for p in top(row, n + len(positives)) if row[p] > 0 and int(p) not in positives][:n]
            found.append(ranked("bm25", best, row[best].tolist()))
    return found
