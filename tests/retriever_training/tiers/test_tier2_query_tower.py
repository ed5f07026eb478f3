"""Tier 2: the query tower, on ten pairs against all their passages; how it is saved; what stays frozen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rag.embedding.encoder import Encoder, load_model
from rag.embedding.model_hashes import compute_encoder_id, compute_passage_side
from rag.embedding.numpy_encoder import NumpyEncoder
from retriever_training.losses.full_softmax import SoftmaxRows, full_softmax_loss
from retriever_training.tiers.tier2_query_tower import (
    QueryTowerPlan,
    save_query_tower,
    shuffled_batches,
    train_query_tower,
)
from tests.fixtures import jargon

PAIRS = [
    (task.format(product), answer.format(code))
    for product, code in list(jargon.PRODUCTS.items())[:5]
    for task, answer in list(jargon.TASKS.items())[:2]
]
QUESTIONS = [question for question, _ in PAIRS]
PASSAGES = [passage for _, passage in PAIRS]
PLAN = QueryTowerPlan(epochs=8, batch_size=5, learning_rate=1e-4, frozen_layers=3)


def rows_of(encoder: Encoder) -> SoftmaxRows:
    nothing = tuple(np.array([], np.int64) for _ in PAIRS)
    everyone = np.arange(len(PAIRS))
    return SoftmaxRows(
        questions=encoder.encode_queries(QUESTIONS),
        passages=encoder.encode_passages(PASSAGES),
        question_of=everyone,
        positive_of=everyone,
        weight=np.ones(len(PAIRS), np.float32),
        masked=nothing,
        emphasised=nothing,
    )


@pytest.fixture(scope="module")
def tower(base_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tower") / "trained"
    model = train_query_tower(base_encoder.folder, QUESTIONS, rows_of(base_encoder), PLAN)
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def version(base_encoder: Encoder, tower: Path) -> Path:
    made = tower.parent / "version"
    save_query_tower(base_encoder.folder, tower, made)
    return made


def loss_of(rows: SoftmaxRows, queries: NDArray[np.float32]) -> float:
    return float(
        full_softmax_loss(rows, np.arange(len(PAIRS)), torch.from_numpy(queries), torch.from_numpy(rows.passages))
    )


def test_training_finds_what_the_base_does_not(base_encoder: Encoder, version: Path) -> None:
    rows = rows_of(base_encoder)
    assert loss_of(rows, Encoder.open(version).encode_queries(QUESTIONS)) < 0.7 * loss_of(rows, rows.questions)


def test_a_saved_tower_shares_the_passage_side_of_the_base(base_encoder: Encoder, version: Path) -> None:
    assert compute_passage_side(version) == base_encoder.passage_side
    assert compute_encoder_id(version) != base_encoder.encoder_id
    np.testing.assert_array_equal(
        Encoder.open(version, precision="fp32").encode_passages(PASSAGES), base_encoder.encode_passages(PASSAGES)
    )


def test_one_shot_commands_read_its_query_route(version: Path) -> None:
    by_torch = Encoder.open(version).encode_queries(QUESTIONS)
    np.testing.assert_allclose(NumpyEncoder(version).encode_queries(QUESTIONS), by_torch, atol=1e-5)


def test_frozen_layers_are_those_of_the_base(base_encoder: Encoder, tower: Path) -> None:
    before, after = load_model(base_encoder.folder).state_dict(), load_model(tower).state_dict()
    moved = {name for name in before if not bool((before[name] == after[name]).all())}
    layers = {name.split("layer.")[1][0] for name in moved if "layer." in name}
    assert layers == {"3", "4", "5"}
    assert not [name for name in moved if "embeddings" in name]


def test_equal_seeds_train_equal_towers(base_encoder: Encoder) -> None:
    rows, plan = rows_of(base_encoder), QueryTowerPlan(epochs=1, batch_size=5)
    first, second = (train_query_tower(base_encoder.folder, QUESTIONS, rows, plan).state_dict() for _ in range(2))
    assert all(bool((first[name] == second[name]).all()) for name in first)


def test_every_epoch_takes_every_row_once_in_another_order() -> None:
    epochs = np.concatenate(list(shuffled_batches(7, QueryTowerPlan(epochs=2, batch_size=3)))).reshape(2, 7)
    assert [sorted(epoch) for epoch in epochs.tolist()] == [list(range(7))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
