"""Neighbours of the positive: passages that lie near a right one, whatever the question's words.

Where a right passage and its neighbours differ in one fact, the question alone often does not lead to the neighbours,
and yet they are what an answer would be mistaken for.
"""

from __future__ import annotations

import numpy as np

from retriever_training.negatives.mine import Candidate, FloatArray, Mine, highest


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """The *n* passages of highest cosine with any of the question's positives, these left out."""
    return highest(mine, "neighbour", n, lambda some: _nearest(mine, some), above=-1.0)


def _nearest(mine: Mine, some: slice) -> FloatArray:
    """`(q, n)`: each passage's largest cosine with a positive; -1 for questions without one."""
    scores = np.full((some.stop - some.start, len(mine.passage_ids)), -1.0, np.float32)
    for line, positives in enumerate(mine.positives[some]):
        if positives:
            scores[line] = (mine.passage_vectors[sorted(positives)] @ mine.passage_vectors.T).max(axis=0)
    return scores
