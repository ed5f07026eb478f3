"""Lexical neighbours of the positive: passages that share the words of a right one."""

from __future__ import annotations

from retriever_training.negatives.candidates.records import Candidate, MiningContext
from retriever_training.negatives.finders.bm25 import top_by_bm25
from retriever_training.negatives.finders.positive_neighbour import find_around_positives


def find_lexical_neighbours(mine: MiningContext, n: int) -> list[list[Candidate]]:
    """Returns the *n* passages with the highest BM25 above 0 for a positive's words; none if the context has no texts."""
    if not mine.texts:
        return [[] for _ in mine.questions]
    return find_around_positives(
        mine, "word_neighbour", n, lambda right, k: top_by_bm25(mine.lexical, [mine.texts[row] for row in right], k)
    )
