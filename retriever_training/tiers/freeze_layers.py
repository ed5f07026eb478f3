"""Layers that stay as they are while those above them learn."""

from __future__ import annotations

import re
from typing import Any

from rag.errors import UsageError


def freeze_layers(model: Any, n_layers: int) -> None:
    """Keeps the lowest *n_layers* layers of the transformer, and the embeddings below them, from learning.

    Raises:
        UsageError: the model does not have this many.
    """
    if not n_layers:
        return
    n_there = count_layers(model)
    if n_there < n_layers:
        raise UsageError(f"frozen_layers={n_layers}, but the model has {n_there} layers: freeze at most {n_there}")
    for name, parameter in model.named_parameters():
        number = _layer(name)
        if number is not None and number < n_layers:
            parameter.requires_grad_(requires_grad=False)


def count_layers(model: Any) -> int:
    """How many layers the transformer has; 0 for a model that is none."""
    return len({number for name, _ in model.named_parameters() if (number := _layer(name)) is not None and number >= 0})


def _layer(name: str) -> int | None:
    """The number of the layer that a parameter belongs to; -1 for embeddings, None for what lies above.

    >>> _layer("0.auto_model.encoder.layer.3.output.dense.weight"), _layer("0.auto_model.embeddings.LayerNorm.bias")
    (3, -1)
    """
    found = re.search(r"\.layers?\.(\d+)\.", name)
    if found:
        return int(found[1])
    return -1 if re.search(r"\.embed(dings|_tokens)\b", name) else None
