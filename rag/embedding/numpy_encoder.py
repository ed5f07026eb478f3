"""The encoder for one question in a process of its own, in numpy.

`import sentence_transformers` takes five seconds here; a command that answers one question and ends can't
spend them. This is the forward pass of a BERT encoder with mean pooling (Devlin et al. 2019), enough for the
default encoder and all versions trained from it; anything else is refused and the caller opens `Encoder`.
Vectors agree with sentence-transformers to 1e-5 (tested).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from rag.embedding.encoder import check_encoder_id, normalise_rows
from rag.embedding.model_hashes import compute_encoder_id, compute_passage_side, route_modules, text_prompt
from rag.errors import EncoderError

Weights = dict[str, FloatArray]


class NumpyEncoder:
    """An encoder in numpy with the verbs and ids of `Encoder`, for a handful of texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder_id = compute_encoder_id(folder)
        self.passage_side = compute_passage_side(folder)
        if text_prompt(folder, "query") or text_prompt(folder, "document"):
            raise EncoderError("this version puts prompts before its texts: open it with Encoder")
        self._query = _Route(route_modules(folder, "query"))
        self._passage = _Route(route_modules(folder, "document"), shared=self._query)
        self.dim = self._query.dim

    @classmethod
    def open(cls, folder: Path, *, encoder_id: str | None = None) -> NumpyEncoder:
        """Opens the version in *folder*.

        Raises:
            EncoderError: its modules are not those of a mean-pooled BERT, or not those of *encoder_id*.
        """
        encoder = cls(folder)
        check_encoder_id(encoder.encoder_id, encoder_id, folder)
        return encoder

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""
        return self._query.encode(texts)

    def encode_passages(self, texts: Sequence[str], progress: Callable[[int], None] = lambda n: None) -> FloatArray:
        """`(n, dim)` float32, rows of unit length. For a few dozen texts; a library needs `Encoder`."""
        vectors = self._passage.encode(texts)
        progress(len(texts))
        return vectors


class _Route:
    """Transformer, mean pooling, any linear maps, normalisation."""

    def __init__(self, modules: list[tuple[str, Path]], shared: _Route | None = None) -> None:
        kinds = [kind for kind, _ in modules]
        if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense", "Normalize"}:
            raise EncoderError(f"modules {kinds} are not those of a mean-pooled BERT: open this version with Encoder")
        self._transformer = modules[0][1]
        self.config = json.loads((self._transformer / "config.json").read_text("utf-8"))
        _expect({"model_type": "bert", "hidden_act": "gelu", "dtype": "float32"}, self.config)
        _expect({"pooling_mode": "mean"}, json.loads((modules[1][1] / "config.json").read_text("utf-8")))
        self._weights = self._read_weights(shared)
        self._maps = [_linear_map(path) for kind, path in modules if kind == "Dense"]
        self._tokenizer = self._open_tokenizer()
        self.dim = len(self._maps[-1]) if self._maps else int(self.config["hidden_size"])

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""
        from threadpoolctl import threadpool_limits

        vectors = np.zeros((len(texts), int(self.config["hidden_size"])), np.float32)
        # On matrices this small a second BLAS thread gains nothing, and on a busy machine it made a text
        # take 340 ms instead of 24 (measured on two cores next to another process).
        with threadpool_limits(limits=1):
            for row, encoding in enumerate(self._tokenizer.encode_batch(list(texts))):
                hidden = _bert(np.asarray(encoding.ids), self._weights, self.config)  # (length, dim)
                vectors[row] = hidden.mean(axis=0)
        for linear in self._maps:
            vectors = vectors @ linear.T
        return normalise_rows(vectors)

    def _read_weights(self, shared: _Route | None) -> Weights:
        """The weights in memory already, if both routes go through one transformer."""
        if shared is not None and shared._transformer == self._transformer:
            return shared._weights
        return _tensors(self._transformer)

    def _open_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._transformer / "tokenizer.json"))
        settings = json.loads((self._transformer / "tokenizer_config.json").read_text("utf-8"))
        tokenizer.enable_truncation(int(settings["model_max_length"]))
        tokenizer.no_padding()
        return tokenizer


def _expect(wanted: dict[str, object], config: dict[str, Any]) -> None:
    """Raises:
    EncoderError: the model computes something that this forward pass does not.
    """
    found = {name: config.get(name) for name in wanted}
    if found != wanted:
        raise EncoderError(f"{found} is not the {wanted} of a mean-pooled BERT: open this version with Encoder")


def _linear_map(folder: Path) -> FloatArray:
    """The weights of a Dense module that does nothing but multiply, `(out, in)`."""
    identity = "torch.nn.modules.linear.Identity"
    _expect({"bias": False, "activation_function": identity}, json.loads((folder / "config.json").read_text("utf-8")))
    return _tensors(folder)["linear.weight"]


def _tensors(folder: Path) -> Weights:
    from safetensors.numpy import load_file

    return {
        name: array.astype(np.float32, copy=False) for name, array in load_file(folder / "model.safetensors").items()
    }


def _bert(ids: NDArray[np.int64], weights: Weights, config: dict[str, float]) -> FloatArray:
    """Hidden states of the last layer, `(length, dim)`, for the token ids of one text, `(length,)`."""
    embedded = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    hidden = _layer_norm(embedded, weights, "embeddings.LayerNorm", config)
    for layer in range(int(config["num_hidden_layers"])):
        prefix = f"encoder.layer.{layer}."
        attended = _attention(hidden, weights, prefix + "attention.self.", int(config["num_attention_heads"]))
        attended = _linear(attended, weights, prefix + "attention.output.dense")
        hidden = _layer_norm(hidden + attended, weights, prefix + "attention.output.LayerNorm", config)
        widened = _gelu(_linear(hidden, weights, prefix + "intermediate.dense"))
        narrowed = _linear(widened, weights, prefix + "output.dense")
        hidden = _layer_norm(hidden + narrowed, weights, prefix + "output.LayerNorm", config)
    return hidden


def _attention(hidden: FloatArray, weights: Weights, prefix: str, heads: int) -> FloatArray:
    """Scaled dot-product attention of one text, without a mask; Vaswani et al. 2017, section 3.2."""
    length, dim = hidden.shape
    query, key, value = (
        _linear(hidden, weights, prefix + name).reshape(length, heads, dim // heads).transpose(1, 0, 2)
        for name in ("query", "key", "value")
    )  # each (heads, length, dim / heads)
    scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(dim // heads))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    attended = (scores / scores.sum(axis=-1, keepdims=True)) @ value
    return np.asarray(attended.transpose(1, 0, 2).reshape(length, dim), np.float32)


def _linear(inputs: FloatArray, weights: Weights, name: str) -> FloatArray:
    return inputs @ weights[name + ".weight"].T + weights[name + ".bias"]


def _layer_norm(inputs: FloatArray, weights: Weights, name: str, config: dict[str, float]) -> FloatArray:
    centred = inputs - inputs.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(config["layer_norm_eps"]))
    return np.asarray(centred / scale * weights[name + ".weight"] + weights[name + ".bias"], np.float32)


def _gelu(inputs: FloatArray) -> FloatArray:
    """x · Φ(x), the exact form (Hendrycks and Gimpel 2016)."""
    from scipy.special import erf

    return np.asarray(inputs * 0.5 * (1.0 + erf(inputs / np.float32(np.sqrt(2.0)))), np.float32)
