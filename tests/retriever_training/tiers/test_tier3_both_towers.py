"""Tier 3: both towers, on ten pairs; what a kill costs; the merge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rag.embedding.encoder import Encoder, load_model
from rag.embedding.model_hashes import compute_passage_side
from rag.errors import UsageError
from retriever_training.tiers.freeze_layers import freeze_layers
from retriever_training.tiers.tier3_both_towers import (
    TowersPlan,
    TrainingExample,
    count_tower_steps,
    merge_towers,
    train_towers,
)
from tests.fixtures import jargon

PAIRS = [
    TrainingExample(
        question=question, positive=answer.format(code), negatives=(f"Ducks swim on the pond of the {product}.",)
    )
    for product, code in list(jargon.PRODUCTS.items())[:5]
    for question, answer in [(task.format(product), text) for task, text in list(jargon.TASKS.items())[:2]]
]
PLAN = TowersPlan(epochs=6, batch_size=5, learning_rate=2e-4)


@pytest.fixture(scope="module")
def trained(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_towers(base_folder, PAIRS, tmp_path_factory.mktemp("work"), PLAN)


def passages_by(folder: Path) -> np.ndarray:
    return Encoder.open(folder, precision="fp32").encode_passages([pair.positive for pair in PAIRS])


def margin(folder: Path) -> float:
    """How much nearer questions lie to their own passages than to the others', on average."""
    encoder = Encoder.open(folder, precision="fp32")
    questions = encoder.encode_queries([pair.question for pair in PAIRS])
    cosines = questions @ encoder.encode_passages([pair.positive for pair in PAIRS]).T
    return float(np.diag(cosines).mean() - cosines[~np.eye(len(PAIRS), dtype=bool)].mean())


def test_training_brings_questions_nearer_to_their_passages(base_folder: Path, trained: Path) -> None:
    assert margin(trained) > margin(base_folder) + 0.05


def test_training_makes_a_new_passage_side(base_folder: Path, trained: Path) -> None:
    assert compute_passage_side(trained) != compute_passage_side(base_folder)


def test_training_writes_nothing_to_the_terminal_but_its_own_bar(
    base_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_towers(base_folder, PAIRS, tmp_path, TowersPlan(epochs=1, batch_size=5))
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "widget" not in printed.err


class Killed(Exception):
    """What a kill is here."""


def test_a_resumed_training_equals_an_uninterrupted_one(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at step 4 it goes on from the checkpoint of step 3, which is in the middle of an epoch."""
    monkeypatch.setattr("retriever_training.tiers.tier3_both_towers.CHECKPOINT_STEPS", 3)
    plan = TowersPlan(epochs=3, batch_size=5, n_negatives=0, topic_share=0.5, anchor=0.1)
    uninterrupted = train_towers(base_folder, PAIRS, tmp_path / "whole", plan)
    done = 0

    def die_at_4(steps: int) -> None:
        nonlocal done
        done += steps
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        train_towers(base_folder, PAIRS, tmp_path / "killed", plan, die_at_4)
    resumed: list[int] = []
    again = train_towers(base_folder, PAIRS, tmp_path / "killed", plan, resumed.append)
    assert resumed[0] == 3
    assert sum(resumed) == count_tower_steps(len(PAIRS), plan)
    np.testing.assert_allclose(passages_by(again), passages_by(uninterrupted), atol=1e-5)


def test_frozen_layers_stay_as_in_the_base(base_folder: Path, tmp_path: Path) -> None:
    before = load_model(base_folder).state_dict()
    after = load_model(
        train_towers(base_folder, PAIRS, tmp_path, TowersPlan(epochs=1, batch_size=5, frozen_layers=2))
    ).state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert not any("embeddings" in name or ".layer.0." in name or ".layer.1." in name for name in moved)
    assert any(".layer.2." in name for name in moved)


def test_more_frozen_layers_than_there_are_are_refused(base_folder: Path) -> None:
    with pytest.raises(UsageError, match="frozen_layers=7, but the model has 6 layers"):
        freeze_layers(load_model(base_folder), 7)


def test_a_cached_training_makes_the_same_model(base_folder: Path, tmp_path: Path) -> None:
    """One row has no negative: it is padded, and the others keep theirs."""
    examples = [*PAIRS[:9], replace(PAIRS[9], negatives=())]
    plan = TowersPlan(epochs=1, batch_size=5, chunk=3)
    plain = train_towers(base_folder, examples, tmp_path / "plain", plan)
    cached = train_towers(base_folder, examples, tmp_path / "cached", replace(plan, cached=True))
    np.testing.assert_allclose(passages_by(cached), passages_by(plain), atol=1e-5)
    assert np.abs(passages_by(cached) - passages_by(base_folder)).max() > 1e-3


def test_a_finished_training_is_not_run_again(base_folder: Path, trained: Path) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    steps: list[int] = []
    assert train_towers(base_folder, PAIRS, trained.parent, PLAN, steps.append) == trained
    assert (trained / "model.safetensors").stat().st_mtime_ns == before
    assert steps == []


def test_a_merge_of_nothing_is_the_base(base_folder: Path, trained: Path, tmp_path: Path) -> None:
    merge_towers(base_folder, trained, 0.0, tmp_path / "base-again")
    texts = ["What does the red light mean?"]
    again = Encoder.open(tmp_path / "base-again", precision="fp32").encode_queries(texts)
    np.testing.assert_allclose(again, Encoder.open(base_folder, precision="fp32").encode_queries(texts), atol=1e-6)
