"""In-batch negatives: the right passages of other questions. The loss gets them for free; this finder makes them visible."""

from __future__ import annotations

import numpy as np

from retriever_training.negatives.candidates.records import Candidate, MiningContext, drop_positives, max_positives
from retriever_training.negatives.candidates.sampling import draw_distinct

SPARE_DRAWS = 4  # passages drawn beyond n, so that n remain


def find_in_batch(mine: MiningContext, n: int) -> list[list[Candidate]]:
    """Returns, for each question, *n* right passages of other questions, drawn as a batch would combine them."""
    everyone = np.array(sorted({row for positives in mine.positives for row in positives}), np.int64)
    n_drawn = min(n + max_positives(mine) + SPARE_DRAWS, len(everyone))
    drawn = draw_distinct(mine.generator("in_batch"), len(mine), len(everyone), n_drawn)
    rows = np.append(everyone, -1)[drawn]  # -1 stays -1
    return drop_positives(mine, "in_batch", n, rows, np.zeros(rows.shape, np.float32))
