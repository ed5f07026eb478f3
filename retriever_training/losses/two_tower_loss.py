"""Tier 3's loss on a batch's vectors: weighted masked InfoNCE, and what may be added to it; no model is needed to try it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rag.arrays import IntArray
from retriever_training.losses.batch_side_data import PADDING, BatchSideData
from retriever_training.losses.losses import (
    anchor_loss,
    cosine_matrix,
    info_nce,
    kl_distillation,
    margin_mse,
    triplet_loss,
)

if TYPE_CHECKING:
    from torch import Tensor

SCALE = 20.0  # inverse temperature, the usual one for unit vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTowerLoss:
    """Called with the vectors of a batch, `(b, dim)` and `(b · columns, dim)`, and its rows' numbers, `(b,)`.

    Passages come column by column: all positives, then all first negatives, and so on. In a distributed training the
    passages of all processes are every row's negatives; all else is each process's own.
    """

    table: BatchSideData
    kind: Literal["info_nce", "triplet"] = "info_nce"
    emphasis: float = 1.0
    suspected_above: float = 0.0
    anchor: float = 0.0
    anchor_by: Literal["vectors", "scores"] = "vectors"
    distil: float = 0.0
    distil_by: Literal["kl", "margin_mse"] = "kl"

    def __call__(self, questions: Tensor, passages: Tensor, labels: Tensor) -> Tensor:
        rows = labels.cpu().numpy()
        loss = (
            self._in_batch(questions, passages, labels)
            if self.kind == "info_nce"
            else self._triplet(questions, passages, rows)
        )
        if self.anchor:
            loss = loss + self.anchor * self._held(questions, passages, rows)
        if self.distil:
            loss = loss + self.distil * self._distilled(questions, passages, rows)
        return loss

    def _in_batch(self, questions: Tensor, passages: Tensor, labels: Tensor) -> Tensor:
        rank, everyones = _everyones(labels)
        rows = everyones[rank]
        names = np.concatenate([self._names(part) for part in everyones])
        scores = SCALE * cosine_matrix(questions, _gathered(passages))
        first = rank * self._names(rows).size + np.arange(len(rows))  # all processes have batches of one size
        masked = self.table.masked(rows, names)
        if self.suspected_above:
            masked |= self.table.suspected(rows, names, self.suspected_above)
        offsets = np.zeros(tuple(scores.shape), np.float32)
        if self.table.lexical is not None:
            offsets += SCALE * self.table.offsets(rows, names)
        for index in range(1, self.table.n_negatives + 1):
            offsets[np.arange(len(rows)), first + index * len(rows)] += np.log(self.emphasis)
        total = np.mean([self.table.weight[part].sum() for part in everyones])
        there = _to(scores)
        return info_nce(
            scores,
            there(first),
            weights=there(self.table.weight[rows]),
            masked=there(masked),
            offsets=there(offsets),
            total=there(total),
        )

    def _triplet(self, questions: Tensor, passages: Tensor, rows: IntArray) -> Tensor:
        own = self._own_scores(questions, passages)
        real = _to(own)(self.table.columns[rows, 1:] != PADDING)
        return triplet_loss(own[:, :1].expand_as(real)[real], own[:, 1:][real])

    def _held(self, questions: Tensor, passages: Tensor, rows: IntArray) -> Tensor:
        """How far the vectors are from the base's."""
        base = self.table.base
        assert base is not None, "an anchor needs the base's vectors"
        names = self._names(rows)
        real = names != PADDING
        there = _to(questions)
        questions_before, before = there(base.questions[rows]), there(base.passages[names[real]])
        now = passages[there(real)]
        if self.anchor_by == "vectors":
            return (anchor_loss(questions, questions_before) + anchor_loss(now, before)) / 2
        return kl_distillation(SCALE * cosine_matrix(questions, now), SCALE * cosine_matrix(questions_before, before))

    def _distilled(self, questions: Tensor, passages: Tensor, rows: IntArray) -> Tensor:
        """How far the scores of the rows' own passages are from the teacher's, over the rows that have one."""
        own = self._own_scores(questions, passages)
        teacher = _to(own)(self.table.teacher[rows])
        taught = ~teacher.isnan().any(dim=1)
        if not taught.any():
            return own.sum() * 0.0
        if self.distil_by == "margin_mse":
            return margin_mse(own[taught], teacher[taught])
        return kl_distillation(SCALE * own[taught], teacher[taught])

    def _own_scores(self, questions: Tensor, passages: Tensor) -> Tensor:
        """`(b, 1 + n)` cosines of each question with its own passages."""
        import torch

        columns = passages.reshape(-1, *questions.shape)
        return torch.cosine_similarity(questions[None].float(), columns.float(), dim=-1).T

    def _names(self, rows: IntArray) -> IntArray:
        """The batch's passages by number, in the order of their vectors."""
        return self.table.columns[rows].T.ravel()


def _to(like: Tensor) -> Callable[[Any], Tensor]:
    import torch

    return lambda array: torch.as_tensor(array).to(like.device)


def _gathered(passages: Tensor) -> Tensor:
    """All processes' passages, one process after the other; gradients find their way back."""
    from sentence_transformers.util import all_gather_with_grad
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return passages
    gathered: Tensor = all_gather_with_grad(passages)
    return gathered


def _everyones(labels: Tensor) -> tuple[int, list[IntArray]]:
    """Returns this process's number, and every process's rows."""
    import torch
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, [labels.cpu().numpy()]
    gathered = [torch.empty_like(labels) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, labels)
    return distributed.get_rank(), [part.cpu().numpy() for part in gathered]
