"""Tier 1: a linear map on the query side, learnt on vectors that exist. Seconds, and nothing is encoded again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

RIDGES = (100.0, 30.0, 10.0)
"""Strengths of the pull towards the identity, strongest first: each starts where the one before ended."""
SCALE = 20.0  # inverse temperature; 10 and 50 were worse by half a point on feedbackqa-uk's dev questions
LEARNING_RATE = 1e-3
STEPS = 120
BATCH = 2048  # rows of one step; the scores of a batch over 20,000 passages take 160 MB


@dataclass(frozen=True, slots=True)
class Rows:
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


EMPHASIS = 3.0  # log(3) is added to a rejected passage's score in the softmax, as if it stood there three times


def fit_maps(
    rows: Rows,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
    ridges: Sequence[float] = RIDGES,
) -> Iterator[tuple[float, FloatArray]]:
    """Yields (ridge, map) for each of *ridges*; a map W, `(dim, dim)`, turns a question's vector q into W·q / |W·q|.

    Minimises, over rows, the weighted cross-entropy of the right passage among all passages (InfoNCE with
    in-batch negatives taken to the limit; van den Oord et al. 2018) plus ridge / dim · ‖W − I‖², by Adam. A score is
    put together as in serving, cosine plus weighted BM25: what BM25 finds anyway teaches little, and what it misses much.
    Passages are constants, as in ADORE (Zhan et al., SIGIR 2021), which trains the whole query tower this way.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    passages = torch.from_numpy(rows.passages)
    identity = torch.eye(rows.passages.shape[1])
    weights = identity.clone().requires_grad_(True)
    for ridge in ridges:
        optimiser = torch.optim.Adam([weights], lr=LEARNING_RATE)
        for _ in range(STEPS):
            batch = torch.randperm(len(rows.weight), generator=generator)[:BATCH].numpy()
            loss = _loss(rows, batch, weights, passages) + ridge / len(identity) * ((weights - identity) ** 2).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            progress(1)
        yield ridge, weights.detach().numpy().copy()


def _loss(rows: Rows, batch: NDArray[np.int64], weights: Any, passages: Any) -> Any:
    import torch

    questions = torch.from_numpy(rows.questions[rows.question_of[batch]])
    mapped = torch.nn.functional.normalize(questions @ weights.T, dim=1)
    scores = SCALE * mapped @ passages.T  # (batch, n)
    scores = scores + torch.from_numpy(_offsets(rows, batch, scores.shape))
    losses = torch.nn.functional.cross_entropy(scores, torch.from_numpy(rows.positive_of[batch]), reduction="none")
    weight = torch.from_numpy(rows.weight[batch])
    return (losses * weight).sum() / weight.sum()


def _offsets(rows: Rows, batch: NDArray[np.int64], shape: tuple[int, int]) -> FloatArray:
    """What is added to the scores: BM25's part, minus infinity, in effect, at masked passages, log EMPHASIS at rejected
    ones.
    """  # fmt: skip
    offsets = np.zeros(shape, np.float32)
    for line, row in enumerate(batch):
        if rows.lexical:
            found, bonus = rows.lexical[rows.question_of[row]]
            offsets[line, found] = SCALE * bonus
        right = rows.positive_of[row]
        of_right = offsets[line, right]
        offsets[line, rows.emphasised[row]] += np.log(EMPHASIS)
        offsets[line, rows.masked[row]] = -1e4
        offsets[line, right] = of_right
    return offsets


def apply_map(weights: FloatArray, questions: FloatArray) -> FloatArray:
    """Mapped questions, `(q, dim)`, unit rows.

    >>> apply_map(2 * np.eye(2, dtype=np.float32), np.array([[0.6, 0.8]], np.float32)).round(6).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    mapped = questions @ weights.T
    return np.asarray(mapped / np.linalg.norm(mapped, axis=1, keepdims=True), np.float32)


def merge(weights: FloatArray, alpha: float) -> FloatArray:
    """alpha · map + (1 - alpha) · identity: how far to go from the base (WiSE-FT, Wortsman et al. 2022).

    >>> merge(np.zeros((1, 1), np.float32), 0.25).tolist()
    [[0.75]]
    """
    return np.asarray(alpha * weights + (1 - alpha) * np.eye(len(weights)), np.float32)


def save_adapter(base: Path, weights: FloatArray, made: Path) -> None:
    """Writes base and map as one model at *made* that plain sentence-transformers loads: a `Router` whose query
    route ends in the map and whose document route is the base, untouched.
    """  # fmt: skip
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Router

    from rag.encoder import load_model

    transformer, pooling, *_ = load_model(base)
    linear = Dense(*weights.shape, bias=False, activation_function=torch.nn.Identity())
    linear.linear.weight.data = torch.from_numpy(weights).contiguous()
    router = Router.for_query_document([transformer, pooling, linear, Normalize()], [transformer, pooling, Normalize()])
    SentenceTransformer(modules=[router], device="cpu").save_pretrained(str(made), create_model_card=False)
    _restore_base_files(base, made)


def _restore_base_files(base: Path, made: Path) -> None:
    """Puts the base's own files back in place of what was saved from memory.

    Byte for byte the same passage side, whatever version of a library wrote either; the weights as a hard
    link, so that a hundred versions of tier 1 take the disk space of one.
    """
    for copy in made.glob("*_Transformer/*"):
        original = base / copy.name
        if original.is_file():
            copy.unlink()
            _link_or_copy(original, copy)


def _link_or_copy(original: Path, copy: Path) -> None:
    try:
        copy.hardlink_to(original)
    except OSError:  # another file system, or one without links
        shutil.copy2(original, copy)
