"""Freezes the lowest layers of a transformer, so that only those above them learn."""

from __future__ import annotations

import re
from typing import Any

from rag.errors import UsageError


def freeze_layers(model: Any, n_layers: int) -> None:
    """Freezes the lowest *n_layers* layers of the transformer and the embeddings below them.

    Raises:
        UsageError: the model has fewer layers.
    """
    if not n_layers:
        return
    n_present = count_layers(model)
    if n_present < n_layers:
        raise UsageError(f"frozen_layers={n_layers}, but the model has {n_present} layers: freeze at most {n_present}")
    for name, parameter in model.named_parameters():
        number = _layer(name)
        if number is not None and number < n_layers:
            parameter.requires_grad_(requires_grad=False)


def count_layers(model: Any) -> int:
    """Counts the layers of the transformer; 0 for a model that is not a transformer."""
    return len({number for name, _ in model.named_parameters() if (number := _layer(name)) is not None and number >= 0})


def _layer(name: str) -> int | None:
    """Returns the number of the layer that a parameter belongs to; -1 for embeddings, None for what lies above.

    >>> _layer("0.auto_model.encoder.layer.3.output.dense.weight"), _layer("0.auto_model.embeddings.LayerNorm.bias")
    (3, -1)
    """
    match = re.search(r"\.layers?\.(\d+)\.", name)
    if match:
        return int(match[1])
    return -1 if re.search(r"\.embed(dings|_tokens)\b", name) else None
