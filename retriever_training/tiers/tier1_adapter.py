"""Tier 1: a linear map on the query side, learned in seconds on existing vectors; nothing is encoded again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from rag.arrays import FloatArray
from retriever_training.losses.full_softmax import SoftmaxRows, cached_offsets, full_softmax_loss, to_faster_precision
from retriever_training.tiers.router_model import save_router

RIDGES = (100.0, 30.0, 10.0, 3.0)
"""Strengths of the pull towards the identity, strongest first: each starts where the one before ended."""
LEARNING_RATE = 1e-3
STEPS_PER_RIDGE = 60  # 120 were no better on the dev questions of feedbackqa-uk
MAX_BATCH_ROWS = 2048
MAX_BATCH_SCORES = 1 << 22  # rows × passages of one step: 16 MiB, and a sixth of a second


def fit_maps(
    rows: SoftmaxRows,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
    ridges: Sequence[float] = RIDGES,
) -> Iterator[tuple[float, FloatArray]]:
    """Yields (ridge, map) for each of *ridges*; a map W, `(dim, dim)`, turns a question's vector q into W·q / |W·q|.

    Minimises `full_softmax_loss` over all passages plus ridge / dim · ‖W − I‖², by Adam.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    questions, passages = torch.from_numpy(rows.questions), to_faster_precision(rows.passages)
    added = cached_offsets(rows)
    identity = torch.eye(rows.passages.shape[1])
    size = max(1, min(MAX_BATCH_ROWS, MAX_BATCH_SCORES // len(rows.passages)))
    weights = identity.clone().requires_grad_(True)
    for ridge in ridges:
        optimiser = torch.optim.Adam([weights], lr=LEARNING_RATE)
        for _ in range(STEPS_PER_RIDGE):
            batch = torch.randperm(len(rows.weight), generator=generator)[:size].numpy()
            mapped = torch.nn.functional.normalize(questions[rows.question_of[batch]] @ weights.T, dim=1)
            pull = ridge / len(identity) * ((weights - identity) ** 2).sum()
            optimiser.zero_grad()
            (full_softmax_loss(rows, batch, mapped, passages, added) + pull).backward()
            optimiser.step()
            progress(1)
        yield ridge, weights.detach().numpy().copy()


def apply_map(weights: FloatArray, questions: FloatArray) -> FloatArray:
    """Returns the mapped questions, `(q, dim)`, unit rows.

    >>> apply_map(2 * np.eye(2, dtype=np.float32), np.array([[0.6, 0.8]], np.float32)).round(6).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    mapped = questions @ weights.T
    return np.asarray(mapped / np.linalg.norm(mapped, axis=1, keepdims=True), np.float32)


def merge_map(weights: FloatArray, alpha: float) -> FloatArray:
    """Returns alpha · map + (1 - alpha) · identity: how far to go from the base (WiSE-FT, Wortsman et al. 2022).

    >>> merge_map(np.zeros((1, 1), np.float32), 0.25).tolist()
    [[0.75]]
    """
    return np.asarray(alpha * weights + (1 - alpha) * np.eye(len(weights)), np.float32)


def save_adapter(base: Path, weights: FloatArray, made: Path) -> None:
    """Writes base and map as one model at *made*: its query route ends in the map, its document route is the base."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    from rag.embedding.encoder import load_model

    transformer, pooling, *_ = load_model(base)
    linear = Dense(*weights.shape, bias=False, activation_function=torch.nn.Identity())
    linear.linear.weight.data = torch.from_numpy(weights).contiguous()
    save_router(base, [transformer, pooling, linear, Normalize()], [transformer, pooling, Normalize()], made)
