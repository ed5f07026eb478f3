"""Tier 1: the loss, the maps, the merge, the saved model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.embedding.encoder import Encoder, load_model
from rag.embedding.model_hashes import compute_passage_side
from retriever_training.losses.full_softmax import (
    GENERALISED_CROSS_ENTROPY_Q,
    REJECTED_EMPHASIS,
    SCALE,
    SoftmaxRows,
    cached_offsets,
    full_softmax_loss,
    score_offsets,
    to_faster_precision,
)
from retriever_training.tiers.tier1_adapter import apply_map, fit_maps, merge_map, save_adapter

RNG = np.random.default_rng(3)


def unit(array: np.ndarray) -> np.ndarray:
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def rows(questions: np.ndarray, passages: np.ndarray, positives: list[int], **changes: object) -> SoftmaxRows:
    n = len(positives)
    fields: dict[str, object] = {
        "questions": questions,
        "passages": passages,
        "question_of": np.arange(n),
        "positive_of": np.array(positives),
        "weight": np.ones(n, np.float32),
        "masked": tuple(np.array([], np.int64) for _ in range(n)),
        "emphasised": tuple(np.array([], np.int64) for _ in range(n)),
    }
    return SoftmaxRows(**(fields | changes))


def loss_of(given: SoftmaxRows) -> float:
    import torch

    queries = torch.from_numpy(given.questions[given.question_of])
    return float(full_softmax_loss(given, np.arange(len(given.weight)), queries, torch.from_numpy(given.passages)))


def doubted(surprise: float) -> float:
    """(1 − p^q) / q of the probability that −log p = *surprise* tells."""
    return float((1 - np.exp(-surprise) ** GENERALISED_CROSS_ENTROPY_Q) / GENERALISED_CROSS_ENTROPY_Q)


AXES = np.eye(3, dtype=np.float32)
QUESTION = np.array([[0.6, 0.8, 0.0]], np.float32)


def test_the_loss_is_the_generalised_cross_entropy_over_all_passages() -> None:
    scores = SCALE * np.array([0.6, 0.8, 0.0])
    expected = np.log(np.exp(scores).sum()) - scores[0]
    assert loss_of(rows(QUESTION, AXES, [0])) == pytest.approx(doubted(expected), rel=1e-5)


def test_what_surprises_most_pulls_no_harder_than_what_is_in_doubt() -> None:
    import torch

    def pull(cosine_of_right: float) -> float:
        query = torch.tensor([[cosine_of_right, (1 - cosine_of_right**2) ** 0.5, 0.0]], requires_grad=True)
        full_softmax_loss(rows(QUESTION, AXES, [0]), np.array([0]), query, torch.from_numpy(AXES)).backward()  # type: ignore[no-untyped-call]
        assert query.grad is not None
        return float(query.grad[0, 0].abs())

    assert pull(0.1) < 0.2 * pull(0.68)


def test_a_masked_passage_is_no_negative() -> None:
    scores = SCALE * np.array([0.6, 0.0])
    expected = np.log(np.exp(scores).sum()) - scores[0]
    assert loss_of(rows(QUESTION, AXES, [0], masked=(np.array([1]),))) == pytest.approx(doubted(expected), abs=1e-6)


def test_a_rejected_passage_counts_as_often_as_emphasis_says() -> None:
    scores = np.exp(SCALE * np.array([0.6, 0.8, 0.0]))
    expected = np.log(scores[0] + REJECTED_EMPHASIS * scores[1] + scores[2]) - np.log(scores[0])
    assert loss_of(rows(QUESTION, AXES, [0], emphasised=(np.array([1]),))) == pytest.approx(doubted(expected), rel=1e-5)


def test_the_right_passage_is_never_masked_or_emphasised_against_itself() -> None:
    plain = loss_of(rows(QUESTION, AXES, [0]))
    everything = rows(QUESTION, AXES, [0], masked=(np.array([0]),), emphasised=(np.array([0]),))
    assert loss_of(everything) == pytest.approx(plain)


def test_what_bm25_adds_in_serving_is_added_in_training() -> None:
    scores = SCALE * (np.array([0.6, 0.8, 0.0]) + np.array([0.25, 0.0, 0.1]))
    expected = np.log(np.exp(scores).sum()) - scores[0]
    bonus = (np.array([0, 2]), np.array([0.25, 0.1], np.float32))
    assert loss_of(rows(QUESTION, AXES, [0], lexical=(bonus,))) == pytest.approx(doubted(expected), rel=1e-5)
    everything = rows(QUESTION, AXES, [0], lexical=(bonus,), masked=(np.array([0]),), emphasised=(np.array([0]),))
    assert loss_of(everything) == pytest.approx(doubted(expected), rel=1e-5)


def test_a_row_counts_by_its_weight() -> None:
    two = rows(np.repeat(QUESTION, 2, axis=0), AXES, [0, 2], weight=np.array([1.0, 0.0], np.float32))
    assert loss_of(two) == pytest.approx(loss_of(rows(QUESTION, AXES, [0])))


def test_maps_learn_a_rotation_that_holds_for_questions_nobody_asked() -> None:
    """Questions are passages turned by a fixed rotation; two hundred pairs teach it to a hundred others."""
    passages = unit(RNG.normal(size=(300, 16)))
    skew = RNG.normal(size=(16, 16))
    rotation = np.linalg.qr(np.eye(16) + 0.3 * (skew - skew.T))[0]
    questions = (passages @ (rotation * np.sign(np.diag(rotation)))).astype(np.float32)
    given = rows(questions[:200], passages, list(range(200)))
    weights = [fitted for _, fitted in fit_maps(given, seed=1, ridges=(10.0, 3.0))][-1]
    unasked, their_own = questions[200:], np.arange(200, 300)
    before = ((unasked @ passages.T).argmax(axis=1) == their_own).mean()
    after = ((apply_map(weights, unasked) @ passages.T).argmax(axis=1) == their_own).mean()
    assert before < 0.6
    assert after > 0.9


def test_a_stronger_ridge_stays_closer_to_the_identity() -> None:
    passages = unit(RNG.normal(size=(30, 8)))
    given = rows(unit(RNG.normal(size=(30, 8))), passages, list(range(30)))
    moved = [float(np.linalg.norm(weights - np.eye(8))) for _, weights in fit_maps(given, seed=1)]
    assert moved == sorted(moved)


def test_merge_goes_from_the_base_to_the_map() -> None:
    weights = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    assert merge_map(weights, 0.0).tolist() == [[1, 0], [0, 1]]
    assert merge_map(weights, 0.5).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_the_saved_model_is_one_that_plain_sentence_transformers_loads(base_folder: Path, tmp_path: Path) -> None:
    weights = (np.eye(384) + 0.05 * RNG.normal(size=(384, 384))).astype(np.float32)
    save_adapter(base_folder, weights, tmp_path / "made")
    base, made = Encoder.open(base_folder, precision="fp32"), load_model(tmp_path / "made")
    question, passage = "Where do nightjars nest?", "Nightjars lay their eggs on bare ground."
    mapped = apply_map(weights, base.encode_queries([question]))
    np.testing.assert_allclose(made.encode_query([question]), mapped, atol=1e-5)
    np.testing.assert_allclose(made.encode_document([passage]), base.encode_passages([passage]), atol=1e-6)
    assert compute_passage_side(tmp_path / "made") == compute_passage_side(base_folder)


def test_maps_learnt_in_the_faster_precision_are_the_same_maps() -> None:
    """Where a CPU multiplies faster in bf16 a map is learnt so; it must not matter."""
    import torch

    passages = unit(RNG.normal(size=(600, 32)))
    given = rows(unit(passages[:200] + 0.3 * RNG.normal(size=(200, 32))), passages, list(range(200)))
    fast = to_faster_precision(passages)
    assert fast.dtype in {torch.float32, torch.bfloat16}
    np.testing.assert_allclose(fast.float().numpy(), passages, atol=0.004)
    queries = torch.from_numpy(given.questions)
    values = [
        float(full_softmax_loss(given, np.arange(200), queries, torch.from_numpy(passages).to(precision)))
        for precision in (torch.float32, torch.bfloat16)
    ]
    assert values[1] == pytest.approx(values[0], rel=0.01)


def test_offsets_that_are_kept_are_those_of_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    bonus = (np.array([0, 2]), np.array([0.25, 0.1], np.float32))
    given = rows(np.repeat(QUESTION, 2, axis=0), AXES, [0, 1], lexical=(bonus, bonus), masked=(np.array([1]),) * 2)
    for kept in (0, 1 << 20):
        monkeypatch.setattr("retriever_training.losses.full_softmax.MAX_CACHED_OFFSETS", kept)
        np.testing.assert_array_equal(cached_offsets(given)(np.array([1])), score_offsets(given, np.array([1])))
