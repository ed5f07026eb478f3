"""Dense negatives: passages that the current version ranks high (ANCE, Xiong et al. 2021)."""

from __future__ import annotations

from retriever_training.negatives.candidates.faiss_search import find_nearest
from retriever_training.negatives.candidates.records import (
    Candidate,
    MiningContext,
    VersionView,
    drop_positives,
    max_positives,
)


def find_dense(mine: MiningContext, n: int) -> list[list[Candidate]]:
    """Returns the *n* passages with the highest cosine for each question, without its positives."""
    return find_by_view(mine, mine.current, "dense", n)


def find_by_view(mine: MiningContext, view: VersionView, source: str, n: int) -> list[list[Candidate]]:
    """Returns the passages that one version ranks highest, without the positives."""
    nearest = find_nearest(view.question_vectors, view.passage_vectors, n + max_positives(mine), seed=mine.seed)
    return drop_positives(mine, source, n=n, rows=nearest.rows, scores=nearest.scores, version=view.version)
