"""Replay: a share of older rows among the new ones, so that training does not forget what it learned before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rag.errors import UsageError
from retriever_training.negatives.mixing import TrainingRow


def replayed(
    rows: Sequence[TrainingRow], old_rows: Sequence[TrainingRow], share: float, seed: int
) -> list[TrainingRow]:
    """Returns *rows*, followed by older ones, drawn without replacement, until these are *share* of all.

    Older rows are those that the current version was trained on, or pairs made from the library itself. A pair of
    question and right passage that is among *rows* is not added again. If there are too few older rows, fewer are
    added. Their split is "replay". Experience replay against forgetting: Rolnick et al., NeurIPS 2019.

    >>> def row(question: str, positive_id: str) -> TrainingRow:
    ...     return TrainingRow(question=question, positive_id=positive_id, weight=1.0, negatives=())
    >>> new, old = [row("new?", "a")] * 3, [row("new?", "a"), row("old?", "b")]
    >>> [(row.question, row.split) for row in replayed(new, old, 0.25, 13)]
    [('new?', 'train'), ('new?', 'train'), ('new?', 'train'), ('old?', 'replay')]

    Raises:
        UsageError: the share is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise UsageError(f"share of replayed rows is {share!r}: it must be from 0 to below 1")
    known = {(row.question, row.positive_id) for row in rows}
    others = [row for row in old_rows if (row.question, row.positive_id) not in known]
    n_wanted = min(len(others), round(len(rows) * share / (1 - share)))
    order = np.random.default_rng([seed, *b"replay"]).permutation(len(others)).tolist()
    return [*rows, *(replace(others[index], split="replay") for index in sorted(order[:n_wanted]))]
