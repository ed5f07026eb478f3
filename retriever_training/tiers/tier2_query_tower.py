"""Tier 2: the query side's transformer, trained in minutes against all passage vectors, which stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retriever_training.losses.full_softmax import SoftmaxRows, full_softmax_loss
from retriever_training.tiers.freeze_layers import count_layers, freeze_layers
from retriever_training.tiers.router_model import save_router


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTowerPlan:
    """How long and how hard to train the query side."""

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1e-4
    frozen_layers: int = 3
    """How many of the lowest layers, with the embeddings below them, do not learn; at most half of the model's layers."""
    seed: int = 13
    bf16: bool = False


def train_query_tower(
    base: Path,
    questions: Sequence[str],
    rows: SoftmaxRows,
    plan: QueryTowerPlan,
    progress: Callable[[int], None] = lambda n: None,
) -> Any:
    """Trains a copy of the model in *base* as the query side and returns it, a `SentenceTransformer`.

    Minimises `full_softmax_loss` over all passages, by AdamW with a tenth of warm-up and a linear decay. *questions* are
    the texts of `rows.questions`. Only they are encoded: a passage in a step's softmax costs a product of two vectors,
    not a forward pass (ADORE; Zhan et al., SIGIR 2021).
    """
    import torch

    from rag.embedding.encoder import load_model

    torch.manual_seed(plan.seed)
    model = load_model(base)
    freeze_layers(model, min(plan.frozen_layers, count_layers(model) // 2))
    passages = torch.from_numpy(rows.passages).to(model.device)
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=plan.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, warmup_linear_decay(count_query_tower_steps(len(rows.weight), plan))
    )
    model.train()
    for batch in shuffled_batches(len(rows.weight), plan):
        features = model.preprocess([questions[index] for index in rows.question_of[batch]])
        features = {name: value.to(model.device) for name, value in features.items() if hasattr(value, "to")}
        with torch.autocast(model.device.type, torch.bfloat16, enabled=plan.bf16):
            queries = model(features)["sentence_embedding"]
        queries = torch.nn.functional.normalize(queries.float(), dim=1)
        optimiser.zero_grad()
        full_softmax_loss(rows, batch, queries, passages).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        progress(1)
    return model.eval()


def count_query_tower_steps(n_rows: int, plan: QueryTowerPlan) -> int:
    """Returns the number of optimiser steps of a whole training.

    >>> count_query_tower_steps(65, QueryTowerPlan(epochs=2, batch_size=32))
    6
    """
    return plan.epochs * -(-n_rows // plan.batch_size)


def shuffled_batches(n_rows: int, plan: QueryTowerPlan) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """Yields indices of rows, `(≤ batch_size,)` each; every epoch has every row once, in an order of its own."""
    rng = np.random.default_rng(plan.seed)
    for _ in range(plan.epochs):
        order = rng.permutation(n_rows)
        for start in range(0, n_rows, plan.batch_size):
            yield order[start : start + plan.batch_size]


def warmup_linear_decay(steps: int) -> Callable[[int], float]:
    """Returns the function that gives the share of the learning rate at a step: up over the first tenth, then down to 0.

    >>> rate = warmup_linear_decay(20)
    >>> [rate(0), rate(1), rate(10), rate(20)]
    [0.5, 1.0, 0.5, 0.0]
    """
    warm = max(1, steps // 10)
    return lambda step: min((step + 1) / warm, 1.0) * min(1.0, max(0.0, 1 - step / steps) if step >= warm else 1.0)


def save_query_tower(base: Path, tower: Path, made: Path) -> None:
    """Writes the model in *tower* as the query route and *base* as the document route to *made*."""
    from sentence_transformers.sentence_transformer.modules import Normalize

    from rag.embedding.encoder import load_model

    query, passage = load_model(tower), load_model(base)
    save_router(base, [query[0], query[1], Normalize()], [passage[0], passage[1], Normalize()], made)
