"""Random negatives: any passage that is neither known nor likely to be right. Easy, cheap, and almost never false."""

from __future__ import annotations

import numpy as np

from retriever_training.negatives.candidates.margins import Margin, below
from retriever_training.negatives.candidates.records import Candidate, Mine, most_positives, without_positives
from retriever_training.negatives.candidates.sampling import distinct
from retriever_training.negatives.candidates.similarities import cosines, worst_positive

SUSPECTED = Margin("percent", 0.95)
"""Closer to the question than that, a passage is not drawn: cleaning would take it away again."""
SPARE = 8  # drawn beyond n, so that n remain


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """*n* passages drawn without replacement for each question, its positives and what is nearly as close left out."""
    n_passages = len(mine.passage_ids)
    drawn = distinct(mine.generator("random"), len(mine), n_passages, min(n + most_positives(mine) + SPARE, n_passages))
    questions = np.repeat(np.arange(len(mine)), drawn.shape[1])
    view = mine.current
    scores = cosines(view.question_vectors, questions, view.passage_vectors, drawn.ravel())
    kept = below(SUSPECTED, worst_positive(view, mine.positives)[questions], scores).reshape(drawn.shape)
    return without_positives(mine, "random", n, np.where(kept, drawn, -1), np.zeros(drawn.shape, np.float32))
