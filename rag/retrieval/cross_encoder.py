"""A sentence-transformers CrossEncoder behind one verb: how probable it is that a passage answers a question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rag.arrays import FloatArray
from rag.embedding.encoder import quiet_libraries
from rag.embedding.model_hashes import hash_model_files, refuse_code
from rag.embedding.model_load_lock import MODEL_LOAD_LOCK
from rag.errors import EncoderError

_TOO_MANY = (
    "the cross-encoder in {folder!r} gives {n} scores a pair: name one with a single score, trained to rank passages"
)


class CrossEncoder:
    """Reads question and passage together, and sees what no two vectors show. Loads its weights at the first pair."""

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        """Checks the folder; *threads* 0 leaves torch's own choice.

        Raises:
            EncoderError: *folder* is no model, gives more than one score a pair, or holds files that run code on loading.
        """
        n_labels = _n_labels(folder)
        if n_labels != 1:
            raise EncoderError(_TOO_MANY.format(folder=str(folder), n=n_labels))
        refuse_code(folder)
        self.folder = folder
        self._threads = threads

    @cached_property
    def cross_encoder_id(self) -> str:
        """A hash of the names and contents of its files."""
        return hash_model_files(self.folder)

    @cached_property
    def model(self) -> Any:
        """The library's own `CrossEncoder`.

        Raises:
            EncoderError: the files hold no model that can be loaded, or one that gives more than one score a pair.
        """
        quiet_libraries()
        import torch
        from sentence_transformers import CrossEncoder as Model

        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            with MODEL_LOAD_LOCK:
                model = Model(
                    str(self.folder),
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        except (OSError, ValueError, KeyError) as error:
            raise EncoderError(
                f"the cross-encoder in {str(self.folder)!r} can't be loaded ({type(error).__name__}): "
                "train it again, or copy its folder whole"
            ) from error
        if model.num_labels != 1:
            raise EncoderError(_TOO_MANY.format(folder=str(self.folder), n=model.num_labels))
        return model

    def load(self) -> None:
        """Loads the weights now, and not at somebody's question.

        Raises:
            EncoderError: as of `model`.
        """
        _ = self.model

    def scores(self, question: str, passages: Sequence[str]) -> FloatArray:
        """`(n,)` float32, 0 to 1: the sigmoid of the model's logit, whatever activation it was saved with.

        Raises:
            EncoderError: as of `model`, with the first pair.
        """
        if not passages:
            return np.zeros(0, np.float32)
        import torch

        pairs = [(question, passage) for passage in passages]
        found = self.model.predict(pairs, activation_fn=torch.nn.Sigmoid(), show_progress_bar=False)
        return np.asarray(found, np.float32)


def _n_labels(folder: Path) -> int:
    """How many scores a pair the configuration promises, before anything heavy is imported; 1 if it does not say.

    Raises:
        EncoderError: there is no configuration that can be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kinds, labels = config.get("architectures") or [""], config.get("id2label")
    except (OSError, ValueError, AttributeError) as error:
        message = (
            f"{str(folder)!r} has no config.json that can be read, so it is no cross-encoder: name a folder that "
            '"nightjar cross-encoder train" or CrossEncoder.save_pretrained wrote'
        )
        raise EncoderError(message) from error
    if not str(kinds[0]).endswith("ForSequenceClassification"):
        return 1
    return 2 if labels is None else len(labels)  # transformers leaves out what is its default
