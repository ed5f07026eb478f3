"""Random negatives: any passage that is neither known nor likely to be right. Easy, cheap, and almost never false."""

from __future__ import annotations

import numpy as np

from retriever_training.negatives.candidates.margins import Margin, keeps_margin
from retriever_training.negatives.candidates.records import Candidate, MiningContext, drop_positives, max_positives
from retriever_training.negatives.candidates.sampling import draw_distinct
from retriever_training.negatives.candidates.similarities import lowest_positive_cosines, row_cosines

MAX_COSINE_MARGIN = Margin("percent", 0.95)
"""A passage closer to the question than this is not drawn, because cleaning would remove it again."""
SPARE_DRAWS = 8  # passages drawn beyond n, so that n remain


def find_random(mine: MiningContext, n: int) -> list[list[Candidate]]:
    """Returns *n* passages drawn without replacement for each question, without its positives and passages nearly as close."""
    n_passages = len(mine.passage_ids)
    drawn = draw_distinct(
        mine.generator("random"), len(mine), n_passages, min(n + max_positives(mine) + SPARE_DRAWS, n_passages)
    )
    questions = np.repeat(np.arange(len(mine)), drawn.shape[1])
    view = mine.current
    scores = row_cosines(view.question_vectors, questions, view.passage_vectors, drawn.ravel())
    kept = keeps_margin(MAX_COSINE_MARGIN, lowest_positive_cosines(view, mine.positives)[questions], scores).reshape(
        drawn.shape
    )
    return drop_positives(mine, "random", n, np.where(kept, drawn, -1), np.zeros(drawn.shape, np.float32))
