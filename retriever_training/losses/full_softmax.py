"""The softmax over all passages: what tiers 1 and 2 minimise, whose passage vectors are constants."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray

SCALE = 20.0  # inverse temperature; 10 and 50 were worse by half a point on feedbackqa-uk's dev questions
GENERALISED_CROSS_ENTROPY_Q = (
    0.2  # q of the generalised cross-entropy; 0 would believe every pair, 1 learn least from what surprises most
)
PROBED_ROWS = 512  # rows multiplied with each other to see which precision is faster: a few milliseconds
MIN_SPEEDUP = 1.5
MAX_CACHED_OFFSETS = 1 << 25  # numbers: 128 MiB
REJECTED_EMPHASIS = 3.0  # log(3) is added to a rejected passage's score in the softmax, as if it was there three times


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxRows:
    """Training rows as arrays: question r[i] has the right passage p[i]."""

    questions: FloatArray
    """`(q, dim)`, unit rows: base vectors of the questions."""
    passages: FloatArray
    """`(n, dim)`, unit rows: every passage that takes part in the softmax."""
    question_of: NDArray[np.int64]
    """`(r,)`, into *questions*."""
    positive_of: NDArray[np.int64]
    """`(r,)`, into *passages*."""
    weight: FloatArray
    """`(r,)`, 0 to 1."""
    masked: tuple[NDArray[np.int64], ...]
    """For each row, the passages that are not negatives for it: its question's other known and suspected positives."""
    emphasised: tuple[NDArray[np.int64], ...]
    """For each row, passages that people rejected for its question; they count EMPHASIS times."""
    lexical: tuple[tuple[NDArray[np.int64], FloatArray], ...] = ()
    """For each question, passages that BM25 finds and what it adds to their cosine; empty: no such part."""


def full_softmax_loss(
    rows: SoftmaxRows,
    batch: NDArray[np.int64],
    queries: Any,
    passages: Any,
    added: Callable[..., FloatArray] | None = None,
) -> Any:
    """Weighted mean of (1 − p^q) / q over the rows of a *batch*, as a scalar tensor; p is the softmax, over all
    passages, at the right one, and q is DOUBT.

    As q goes to 0 it is −log p: InfoNCE (van den Oord et al. 2018) with in-batch negatives taken to the limit; passages
    are constants, as in ADORE (Zhan et al., SIGIR 2021). Above 0 it is the generalised cross-entropy (Zhang and Sabuncu,
    NeurIPS 2018, equation 6): a pair that stays improbable, as a mistaken one does, pulls less.

    A score is put together as in serving, cosine plus weighted BM25: what BM25 finds anyway teaches little, and what it
    misses much. *queries* `(len(batch), dim)` has unit rows and a gradient; *passages* is `rows.passages` as a tensor,
    and the products are made in its precision. *added* gives what `offsets` gives, if it is known already.
    """
    import torch

    products = (queries.to(passages.dtype) @ passages.T).float()
    scores = SCALE * products + torch.from_numpy((added or partial(score_offsets, rows))(batch)).to(queries.device)
    right = torch.from_numpy(rows.positive_of[batch]).to(queries.device)
    surprise = torch.nn.functional.cross_entropy(scores, right, reduction="none")
    losses = (1 - torch.exp(-GENERALISED_CROSS_ENTROPY_Q * surprise)) / GENERALISED_CROSS_ENTROPY_Q
    weight = torch.from_numpy(rows.weight[batch]).to(queries.device)
    return (losses * weight).sum() / weight.sum()


def to_faster_precision(passages: FloatArray) -> Any:
    """The passages as a tensor, in bf16 if this CPU multiplies by them at least PAYS times as fast so.

    Products are off by .004 at most, and the maps that were learned from them found as much, to the fourth digit
    of nDCG@10. Elsewhere bf16 is ruinous, so it is tried on PROBED rows rather than believed.
    """
    import torch

    exact = torch.from_numpy(passages)
    if exact.shape[0] < 2 or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return exact
    short = exact.to(torch.bfloat16)
    seconds = [min(_product_s(loss) for _ in range(3)) for loss in (exact, short)]
    return short if seconds[0] > MIN_SPEEDUP * seconds[1] else exact


def _product_s(passages: Any) -> float:
    some = passages[:PROBED_ROWS]
    started = time.perf_counter()
    some @ some.T
    return time.perf_counter() - started


def cached_offsets(rows: SoftmaxRows) -> Callable[[NDArray[np.int64]], FloatArray]:
    """What `offsets` gives for a batch, from a table of all rows if that is small enough: steps ask again and again."""
    if len(rows.weight) * len(rows.passages) > MAX_CACHED_OFFSETS:
        return partial(score_offsets, rows)
    return score_offsets(rows, np.arange(len(rows.weight))).__getitem__


def score_offsets(rows: SoftmaxRows, batch: NDArray[np.int64]) -> FloatArray:
    """`(len(batch), n)`, added to the scores: BM25's part, log EMPHASIS at rejected passages, and minus infinity, in
    effect, at masked ones.
    """
    added = np.zeros((len(batch), len(rows.passages)), np.float32)
    for line, row in enumerate(batch):
        if rows.lexical:
            found, bonus = rows.lexical[rows.question_of[row]]
            added[line, found] = SCALE * bonus
        right = rows.positive_of[row]
        of_right = added[line, right]
        added[line, rows.emphasised[row]] += np.log(REJECTED_EMPHASIS)
        added[line, rows.masked[row]] = -1e4
        added[line, right] = of_right
    return added
