"""Dense negatives: passages that the current version takes for right (ANCE, Xiong et al. 2021)."""

from __future__ import annotations

from retriever_training.negatives.candidates.faiss_search import nearest
from retriever_training.negatives.candidates.records import Candidate, Mine, View, most_positives, without_positives


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """The *n* passages of highest cosine for each question, its positives left out."""
    return find_by(mine, mine.current, "dense", n)


def find_by(mine: Mine, view: View, source: str, n: int) -> list[list[Candidate]]:
    """The same, as one version sees the mine."""
    found = nearest(view.question_vectors, view.passage_vectors, n + most_positives(mine), seed=mine.seed)
    return without_positives(mine, source, n, found.rows, found.scores, view.version)
