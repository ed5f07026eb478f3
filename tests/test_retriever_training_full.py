"""Tier 3: both towers, on ten pairs; what a kill costs; the merge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.encoder import Encoder
from rag.version_files import passage_side_of
from retriever_training.choose_tier import choose_tier
from retriever_training.full import Example, Plan, merge_towers, train_towers
from tests import jargon

PAIRS = [
    Example(question, answer.format(code), (f"Ducks swim on the pond of the {product}.",))
    for product, code in list(jargon.PRODUCTS.items())[:5]
    for question, answer in [(task.format(product), text) for task, text in list(jargon.TASKS.items())[:2]]
]
PLAN = Plan(epochs=6, batch_size=5, learning_rate=2e-4)


@pytest.fixture(scope="module")
def trained(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_towers(base_folder, PAIRS, tmp_path_factory.mktemp("work"), PLAN)


def margin(folder: Path) -> float:
    """How much nearer questions lie to their own passages than to the others', on average."""
    encoder = Encoder.open(folder, precision="fp32")
    questions = encoder.encode_queries([pair.question for pair in PAIRS])
    cosines = questions @ encoder.encode_passages([pair.positive for pair in PAIRS]).T
    return float(np.diag(cosines).mean() - cosines[~np.eye(len(PAIRS), dtype=bool)].mean())


def test_training_brings_questions_nearer_to_their_passages(base_folder: Path, trained: Path) -> None:
    assert margin(trained) > margin(base_folder) + 0.05


def test_training_makes_a_new_passage_side(base_folder: Path, trained: Path) -> None:
    assert passage_side_of(trained) != passage_side_of(base_folder)


def test_training_writes_nothing_to_the_terminal_but_its_own_bar(
    base_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_towers(base_folder, PAIRS, tmp_path, Plan(epochs=1, batch_size=5))
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "widget" not in printed.err


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


def test_auto_takes_both_towers_where_the_night_is_long_enough() -> None:
    long_enough = choose_tier("auto", 1200, 1200, 1000, 40.0, 120.0, Plan())
    assert long_enough.tier == 3
    assert "may take 120" in long_enough.why
    assert choose_tier("auto", 1200, 1200, 1000, 40.0, 2.0, Plan()).tier == 1


def test_auto_leaves_both_towers_alone_where_there_is_little_to_learn_from() -> None:
    assert choose_tier("auto", 50, 50, 100, 1000.0, 120.0, Plan()).tier == 1
    assert choose_tier("3", 50, 50, 100, 1000.0, 120.0, Plan()).tier == 3
