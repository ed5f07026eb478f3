"""Lexical neighbours of the positive: passages that share the words of a right one."""

from __future__ import annotations

import numpy as np

from retriever_training.negatives.mine import Candidate, FloatArray, Mine, highest


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """The *n* passages of highest BM25 above 0 for the words of a positive; none where the mine has no texts."""
    return highest(mine, "word_neighbour", n, lambda some: _sharing_words(mine, some), above=0.0)


def _sharing_words(mine: Mine, some: slice) -> FloatArray:
    """`(q, n)`: each passage's largest BM25 for the text of a positive, as if that had been asked; 0 without one."""
    scores = np.zeros((some.stop - some.start, len(mine.passage_ids)), np.float32)
    for line, positives in enumerate(mine.positives[some]):
        if positives and mine.texts:
            scores[line] = mine.lexical.score_matrix([mine.texts[row] for row in sorted(positives)]).max(axis=0)
    return scores
