"""What every rung of the ladder is on: the set as the base sees it, what a training may spend, how all are measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.retrieval.evaluate import evaluate_retrieval
from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder
from rag.errors import UsageError
from retriever_training.bench.harness.disk_cache import cached_array
from retriever_training.bench.harness.labelled_set import LabelledSet
from retriever_training.progress import ProgressReporter
from retriever_training.tiers.model_selection import DevSet, choose_lexical_weight

LadderValues = Mapping[str, Mapping[str, float]]
"""side, "dense" or "served" → query id → nDCG@10."""

DEFAULT_EPOCHS = 3  # of rows with one negative: the budget if none is given


@dataclass(frozen=True, slots=True)
class Budget:
    """What every training of the ladder may spend: the same number of steps, and of passages a step."""

    steps: int
    pairs: int = 32
    """Rows a step if a row holds a right passage and one negative."""
    frozen_layers: int = 0

    @property
    def passages(self) -> int:
        """Passages a step."""
        return 2 * self.pairs

    def rows(self, n_negatives: int) -> int:
        """Rows a step if each holds this many negatives.

        >>> Budget(10).rows(0), Budget(10).rows(1), Budget(10).rows(3)
        (64, 32, 16)
        """
        return self.passages // (1 + n_negatives)


def default_steps(n_rows: int, pairs: int) -> int:
    """EPOCHS times through the rows, *pairs* of them a step.

    >>> default_steps(1666, 32)
    157
    """
    return -(-DEFAULT_EPOCHS * n_rows // pairs)


@dataclass(frozen=True, slots=True)
class EncodedSet:
    """How a version sees the set; all rows of unit length."""

    passages: FloatArray
    """`(n, dim)`"""
    dev: FloatArray
    """`(d, dim)`"""
    reported_vectors: FloatArray
    """`(t, dim)`, in the order of `LabelledSet.questions`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a rung took; counts are of passages that went through an encoder."""

    mine_s: float = 0.0
    train_s: float = 0.0
    encode_s: float = 0.0
    """Of the library by the new version, which serving needs."""
    n_mined: int = 0
    """Encoded so that negatives could be found."""
    n_trained: int = 0
    n_encoded: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Returns the two costs as one.

        >>> Cost(mine_s=1.0) + Cost(mine_s=0.5, n_mined=3)
        Cost(mine_s=1.5, train_s=0.0, encode_s=0.0, n_mined=3, n_trained=0, n_encoded=0)
        """
        ours, theirs = asdict(self), asdict(other)
        return Cost(**{name: ours[name] + theirs[name] for name in ours})

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.mine_s + self.train_s + self.encode_s


@dataclass(frozen=True, slots=True)
class RungResult:
    """What a rung is worth, and what it cost."""

    values: LadderValues
    cost: Cost
    note: Mapping[str, Any]
    """Choices made on dev, counts of negatives: what a reader may want to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBench:
    """The set, the base, its vectors, and what every rung may spend. Everything is written below *folder*."""

    data: LabelledSet
    encoder: Encoder
    """The base."""
    base: EncodedSet
    train_vectors: FloatArray
    """`(q, dim)`, by the base."""
    dev_set: DevSet
    budget: Budget
    default_weight: float
    """Of BM25, if dev does not object: what suits the base there."""
    bf16: bool
    folder: Path

    @classmethod
    def open(
        cls,
        data: LabelledSet,
        encoder: Encoder,
        budget: Budget,
        default_weight: float,
        folder: Path,
        watch: ProgressReporter,
    ) -> TrainingBench:
        """Encodes the set by the base, or reads the vectors that are in *folder* from an earlier run.

        Raises:
            UsageError: what is in *folder* belongs to another set, base or budget.
        """
        claim_folder(
            folder,
            {
                "dataset": data.name,
                "sha256": data.sha256,
                "split": data.split,
                "base": encoder.encoder_id,
                "default_weight": default_weight,
                **asdict(budget),
            },
        )
        advance = watch("encode by the base", len(data.texts))
        passages = cached_array(folder / "base-passages.npy", lambda: encoder.encode_passages(data.texts, advance))
        dev = encoder.encode_queries(data.dev.questions)
        reported = encoder.encode_queries(list(data.questions.values()))
        dev_set = DevSet.from_questions(
            data.lexical, data.dev.questions, [frozenset(right) for right in data.dev.right]
        )
        train = encoder.encode_queries(data.train.questions)
        sight = EncodedSet(passages, dev, reported)
        by_base, _ = choose_lexical_weight(dev_set, dev, passages, default_weight)
        return cls(
            data=data,
            encoder=encoder,
            base=sight,
            train_vectors=train,
            dev_set=dev_set,
            budget=budget,
            default_weight=by_base,
            bf16=encoder.prefers_bf16(data.texts),
            folder=folder,
        )

    def look(self, encoder: Encoder, watch: ProgressReporter) -> EncodedSet:
        """Encodes all passages and the held-out questions by another version."""
        data = self.data
        passages = encoder.encode_passages(data.texts, watch("encode the library anew", len(data.texts)))
        dev, reported = encoder.encode_queries(data.dev.questions), list(data.questions.values())
        return EncodedSet(passages, dev, encoder.encode_queries(reported))

    def measured(self, sight: EncodedSet) -> tuple[LadderValues, float]:
        """nDCG@10 of every reported question, and BM25's weight in serving, chosen on dev."""
        weight, _ = choose_lexical_weight(self.dev_set, sight.dev, sight.passages, self.default_weight)
        return self.measure_at_weight(sight, weight), weight

    def measure_at_weight(self, sight: EncodedSet, weight: float) -> LadderValues:
        """nDCG@10 of every reported question."""
        data = self.data
        place = {text: row for row, text in enumerate(data.questions.values())}
        scores = evaluate_retrieval(
            data.questions,
            data.qrels,
            encode_queries=lambda texts: sight.reported_vectors[[place[text] for text in texts]],
            passage_ids=data.passage_ids,
            passage_vectors=sight.passages,
            lexical=data.lexical,
            weight=weight,
            seen=data.seen,
        )
        sides = {"dense": "dense", "served": "fused"}
        return {name: scores.values[side]["nDCG@10"] for name, side in sides.items()}

    def unseen(self) -> NDArray[np.bool_]:
        """`(t,)`: the reported questions none of whose right passages is one of a train question's."""
        seen = self.data.seen
        return np.array(
            [
                all(grade <= 0 or name not in seen for name, grade in grades.items())
                for grades in self.data.qrels.values()
            ],
            np.bool_,
        )


def claim_folder(folder: Path, ours: Mapping[str, Any]) -> None:
    """Notes in *folder* what its results hold for.

    Raises:
        UsageError: they hold for something else.
    """
    file = folder / "ladder.json"
    theirs = json.loads(file.read_text("utf-8")) if file.exists() else ours
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise UsageError(
                f"{str(folder)!r} holds a ladder with {name} {theirs.get(name)!r}, this one has "
                f"{value!r}: give another folder to --out"
            )
    file.write_text(json.dumps(ours), "utf-8")
