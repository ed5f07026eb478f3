"""A cross-encoder in a folder: its probabilities, and the folders that are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rag.errors import EncoderError
from rag.retrieval.cross_encoder import CrossEncoder

PASSAGES = ["Masks cover mouth and nose.", "The council collects waste on Mondays.", "A nightjar hunts moths at dusk."]


@pytest.fixture(scope="module")
def tiny(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with random weights, saved by sentence-transformers itself with another activation than ours."""
    return saved(base_folder, tmp_path_factory.mktemp("tiny"), n_labels=1)


def saved(base_folder: Path, folder: Path, n_labels: int) -> Path:
    import torch
    from sentence_transformers import CrossEncoder as Model
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(5)
    config = BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=n_labels,
        initializer_range=2.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder / "bare")
    AutoTokenizer.from_pretrained(base_folder).save_pretrained(folder / "bare")
    Model(str(folder / "bare"), activation_fn=torch.nn.Identity()).save_pretrained(str(folder / "saved"))
    return folder / "saved"


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    """One to spoil."""
    return Path(shutil.copytree(tiny, tmp_path / "copied"))


def test_scores_are_probabilities_whatever_the_model_was_saved_with(tiny: Path) -> None:
    from sentence_transformers import CrossEncoder as Model

    scores = CrossEncoder(tiny).scores("who wears a mask", PASSAGES)
    logits = Model(str(tiny)).predict([("who wears a mask", text) for text in PASSAGES])
    assert scores.dtype == np.float32
    assert scores == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)


def test_no_passages_have_no_scores_and_load_nothing(tiny: Path) -> None:
    reader = CrossEncoder(tiny)
    assert reader.scores("who wears a mask", []).shape == (0,)
    assert "model" not in vars(reader)


def test_its_id_is_that_of_its_files(tiny: Path, copied: Path) -> None:
    (copied / "manifest.json").write_text("{}")
    assert CrossEncoder(copied).cross_encoder_id == CrossEncoder(tiny).cross_encoder_id
    (copied / "tokenizer_config.json").write_text("{}")
    assert CrossEncoder(copied).cross_encoder_id != CrossEncoder(tiny).cross_encoder_id


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, base_folder: Path) -> None:
    with pytest.raises(EncoderError, match=r"no config\.json that can be read"):
        CrossEncoder(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(EncoderError, match=r"no config\.json that can be read"):
        CrossEncoder(tmp_path)


def test_a_folder_that_may_run_code_is_refused(copied: Path) -> None:
    (copied / "pytorch_model.bin").write_text("")
    with pytest.raises(EncoderError, match="may run code"):
        CrossEncoder(copied)


def test_a_model_of_two_scores_a_pair_is_refused_before_it_is_loaded(base_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="gives 2 scores a pair"):
        CrossEncoder(saved(base_folder, tmp_path, n_labels=2))
    with pytest.raises(EncoderError, match="gives 3 scores a pair"):
        CrossEncoder(saved(base_folder, tmp_path, n_labels=3))


def test_a_folder_without_weights_is_refused_when_it_is_loaded(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"can't be loaded \(OSError\)"):
        CrossEncoder(copied).scores("who wears a mask", PASSAGES)
