"""The losses: by hand, beside sentence-transformers' own, and what a mask, a weight, an offset and a cache do to gradients."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing
from sentence_transformers.sentence_transformer.losses import (
    DistillKLDivLoss,
    EmbedDistillLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
    TripletDistanceMetric,
    TripletLoss,
)
from sentence_transformers.util import pairwise_dot_score

from rag.embedding.encoder import Encoder
from retriever_training.losses.batch_side_data import BatchSideData, TrainingExample
from retriever_training.losses.losses import (
    anchor_loss,
    cosine_matrix,
    info_nce,
    kl_distillation,
    make_trainer_loss,
    margin_mse,
    paired_cosines,
    triplet_loss,
)
from retriever_training.losses.two_tower_loss import SCALE, TwoTowerLoss

BATCH, DIM = 6, 8
EXAMPLES = [
    TrainingExample(question=f"question {row}", positive=f"positive {row}", negatives=(f"negative {row}",))
    for row in range(BATCH)
]


def vectors(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    made = torch.nn.functional.normalize(torch.randn(n, DIM, generator=generator), dim=1)
    return made.requires_grad_()


def values_and_gradients(loss: torch.Tensor, *inputs: torch.Tensor) -> list[np.ndarray[Any, Any]]:
    return [loss.detach().numpy(), *(gradient.numpy() for gradient in torch.autograd.grad(loss, inputs))]


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, *inputs: torch.Tensor) -> None:
    """The same value and the same gradient of every input."""
    pairs = zip(values_and_gradients(ours, *inputs), values_and_gradients(theirs, *inputs), strict=True)
    for actual, expected in pairs:
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


# ---- by hand


def test_a_triplet_beyond_the_margin_costs_nothing() -> None:
    positive, negative = torch.tensor([0.9]), torch.tensor([0.6], requires_grad=True)
    loss = triplet_loss(positive, negative, margin=0.2)
    loss.backward()
    assert loss.item() == 0
    assert negative.grad is not None
    assert negative.grad.item() == 0


def test_info_nce_by_hand() -> None:
    """Row 1: -log(e² / (e² + e + 1)) = 0.4076; row 2: log 3. Weights 1 and 3: (0.4076 + 3 · 1.0986) / 4."""
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    loss = info_nce(scores, torch.tensor([0, 1]), weights=torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx((0.4076 + 3 * 1.0986) / 4, abs=1e-4)


def test_an_offset_of_log_n_counts_a_passage_n_times() -> None:
    """-log(1 / (1 + 3)) instead of -log(1 / 2)."""
    loss = info_nce(torch.zeros(1, 2), torch.tensor([0]), offsets=torch.tensor([[0.0, math.log(3)]]))
    assert loss.item() == pytest.approx(math.log(4), abs=1e-6)


def test_a_row_whose_negatives_are_all_masked_costs_nothing() -> None:
    scores = torch.tensor([[0.3, 5.0]], requires_grad=True)
    loss = info_nce(scores, torch.tensor([0]), masked=torch.tensor([[True, True]]))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert scores.grad.abs().max().item() == 0


def test_cosines_are_full_precision_under_autocast() -> None:
    questions, passages = vectors(4, 1), vectors(9, 2)
    exact = cosine_matrix(questions, passages)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cosine_matrix(questions, passages), exact)


# ---- beside the library


def test_without_extras_info_nce_is_multiple_negatives_ranking() -> None:
    columns = [vectors(BATCH, seed) for seed in (1, 2, 3)]
    theirs = MultipleNegativesRankingLoss(torch.nn.Identity(), scale=SCALE)
    table = BatchSideData.of(EXAMPLES, n_negatives=1)
    ours = TwoTowerLoss(table=table)(columns[0], torch.cat(columns[1:]), torch.arange(BATCH))
    assert_same(ours, theirs.compute_loss_from_embeddings(columns, torch.empty(0)), *columns)


def test_triplet_is_the_librarys_with_cosine_distance() -> None:
    columns = [vectors(BATCH, seed) for seed in (4, 5, 6)]
    theirs = TripletLoss(torch.nn.Identity(), TripletDistanceMetric.COSINE, triplet_margin=0.2)
    ours = TwoTowerLoss(table=BatchSideData.of(EXAMPLES, 1), kind="triplet")(
        columns[0], torch.cat(columns[1:]), torch.arange(BATCH)
    )
    assert_same(ours, theirs.compute_loss_from_embeddings(columns, torch.empty(0)), *columns)


def test_margin_mse_is_the_librarys() -> None:
    columns, teacher = [vectors(BATCH, seed) for seed in (1, 2, 3, 4)], torch.rand(BATCH, 3)
    theirs = MarginMSELoss(torch.nn.Identity(), similarity_fct=pairwise_dot_score)
    ours = margin_mse(torch.stack([(columns[0] * column).sum(dim=1) for column in columns[1:]], dim=1), teacher)
    assert_same(ours, theirs.compute_loss_from_embeddings(columns, teacher), *columns)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_kl_distillation_is_the_librarys(temperature: float) -> None:
    columns, teacher = [vectors(BATCH, seed) for seed in (1, 2, 3, 4)], torch.rand(BATCH, 3)
    theirs = DistillKLDivLoss(torch.nn.Identity(), pairwise_dot_score, temperature=temperature)
    student = torch.stack([(columns[0] * column).sum(dim=1) for column in columns[1:]], dim=1)
    ours = kl_distillation(student, teacher, temperature)
    assert_same(ours, theirs.compute_loss_from_embeddings(columns, teacher), *columns)


def test_anchor_is_the_librarys_embedding_distillation_by_cosine() -> None:
    now, before = vectors(BATCH, 1), vectors(BATCH, 2).detach()
    theirs = EmbedDistillLoss(torch.nn.Identity(), distance_metric="cosine")
    assert_same(anchor_loss(now, before), theirs.compute_loss_from_embeddings([now], [before]), now)


# ---- what the side table does to a batch


def loss_of(table: BatchSideData, passages: torch.Tensor, **options: Any) -> torch.Tensor:
    return TwoTowerLoss(table=table, **options)(
        vectors(len(table.weight), 1), passages, torch.arange(len(table.weight))
    )


def gradient_sizes(loss: torch.Tensor, passages: torch.Tensor) -> list[float]:
    return list(torch.autograd.grad(loss, passages)[0].norm(dim=1).tolist())


def test_a_masked_passage_gets_no_gradient() -> None:
    """Two rows, each with weight on the first only: what the first spares is nobody's negative."""
    examples = [
        TrainingExample(question="a", positive="of a", weight=1.0, excluded=("of b",)),
        TrainingExample(question="b", positive="of b", weight=0.0),
        TrainingExample(question="c", positive="of c", weight=0.0),
    ]
    passages = vectors(3, 2)
    sizes = gradient_sizes(loss_of(BatchSideData.of(examples, 0), passages), passages)
    assert sizes[1] == 0
    assert sizes[0] > 0
    assert sizes[2] > 0


def test_a_missing_negative_is_nobodys_negative() -> None:
    examples = [
        TrainingExample(question="a", positive="of a", negatives=("bad",)),
        TrainingExample(question="b", positive="of b"),
    ]
    passages = vectors(4, 2)  # the positives, then "bad" and what pads the second row
    sizes = gradient_sizes(loss_of(BatchSideData.of(examples, 1), passages), passages)
    assert sizes[3] == 0
    assert min(sizes[:3]) > 0


def test_a_questions_other_positive_is_not_its_negative() -> None:
    table = BatchSideData.of(
        [
            TrainingExample(question="a", positive="one"),
            TrainingExample(question="a", positive="two"),
            TrainingExample(question="b", positive="three"),
        ],
        0,
    )
    assert table.masked(np.array([0, 2]), np.array([0, 1, 2])).tolist() == [[True, True, False], [False, False, True]]


def test_a_near_duplicate_of_the_positive_is_not_a_negative() -> None:
    places = {"one": [1.0, 0.0], "twin": [0.98, 0.199], "other": [0.0, 1.0]}

    def by_base(texts: Any) -> Any:
        return np.array([places.get(text, [1.0, 0.0]) for text in texts], np.float32)

    examples = [
        TrainingExample(question="a", positive="one"),
        TrainingExample(question="b", positive="twin"),
        TrainingExample(question="c", positive="other"),
    ]
    table = BatchSideData.of(examples, 0, base=(by_base, by_base), near_duplicate=0.97)
    assert table.masked(np.array([0]), np.array([0, 1, 2])).tolist() == [[True, True, False]]
    assert table.suspected(np.array([0]), np.array([0, 1, 2]), 0.99).tolist() == [[True, False, False]]


def test_a_row_without_weight_teaches_nothing() -> None:
    examples = [
        TrainingExample(question="a", positive="of a", weight=0.5),
        TrainingExample(question="b", positive="of b", weight=0.0),
    ]
    loss = TwoTowerLoss(table=BatchSideData.of(examples, 0))
    questions = vectors(2, 1)
    gradient = torch.autograd.grad(loss(questions, vectors(2, 2), torch.arange(2)), questions)[0]
    assert gradient[1].abs().max().item() == 0
    assert gradient[0].abs().max().item() > 0


def test_what_bm25_finds_anyway_teaches_less() -> None:
    """BM25 puts the right passage in front: the loss is what the fused score leaves to learn."""
    examples = [TrainingExample(question="a", positive="of a"), TrainingExample(question="b", positive="of b")]
    passages, same = vectors(2, 2), np.eye(2, dtype=np.float32)
    plain = loss_of(BatchSideData.of(examples, 0), passages).item()
    helped = loss_of(BatchSideData.of(examples, 0, lexical=lambda questions, texts: 0.5 * same), passages).item()
    scores = SCALE * (vectors(2, 1) @ passages.T + 0.5 * torch.eye(2))
    assert helped == pytest.approx(-torch.log_softmax(scores, dim=1).diag().mean().item(), abs=1e-5)
    assert helped < plain


def test_an_emphasised_negative_counts_as_if_it_stood_there_three_times() -> None:
    passages, questions = vectors(4, 2), vectors(2, 1)
    examples = [
        TrainingExample(question="a", positive="of a", negatives=("bad a",)),
        TrainingExample(question="b", positive="of b", negatives=("bad b",)),
    ]
    scores = SCALE * questions @ passages.T
    times = torch.tensor([[1.0, 1, 3, 1], [1, 1, 1, 3]])
    by_hand = -(scores[range(2), range(2)] - (times * scores.exp()).sum(dim=1).log()).mean()
    assert loss_of(BatchSideData.of(examples, 1), passages, emphasis=3.0).item() == pytest.approx(
        by_hand.item(), abs=1e-5
    )


def test_bm25_keeps_a_rows_largest_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retriever_training.losses.batch_side_data.MAX_LEXICAL_PASSAGES", 1)
    examples = [TrainingExample(question="a", positive="of a"), TrainingExample(question="b", positive="of b")]
    table = BatchSideData.of(
        examples, 0, lexical=lambda questions, texts: np.array([[0.1, 0.2], [0.3, 0.0]], np.float32)
    )
    np.testing.assert_allclose(table.offsets(np.array([0, 1]), np.array([1, 0])), [[0.2, 0.0], [0.0, 0.3]])


@pytest.mark.parametrize("by", ["vectors", "scores"])
def test_an_anchored_model_at_its_base_is_not_pulled(by: str) -> None:
    """The anchor's part is nothing where the vectors are the base's, and something elsewhere."""
    examples = [
        TrainingExample(question="a", positive="of a", negatives=("bad",)),
        TrainingExample(question="b", positive="of b"),
    ]
    questions, passages = vectors(2, 1), vectors(4, 2)
    base = (lambda texts: questions.detach().numpy(), lambda texts: passages.detach().numpy()[[0, 2, 1]])
    table = BatchSideData.of(examples, 1, base=base)  # numbers: of a, bad, of b
    plain = TwoTowerLoss(table=table)(questions, passages, torch.arange(2))
    held = TwoTowerLoss(table=table, anchor=5.0, anchor_by=by)  # type: ignore[arg-type]  # pytest hands over plain words
    assert held(questions, passages, torch.arange(2)).item() == pytest.approx(plain.item(), abs=1e-5)
    elsewhere = vectors(4, 7)
    plain_elsewhere = TwoTowerLoss(table=table)(questions, elsewhere, torch.arange(2)).item()
    assert held(questions, elsewhere, torch.arange(2)).item() > plain_elsewhere + 0.1


@pytest.mark.parametrize("by", ["kl", "margin_mse"])
def test_only_rows_with_a_teacher_are_distilled(by: str) -> None:
    examples = [
        TrainingExample(question="a", positive="of a", negatives=("bad",), teacher=(9.0, 1.0)),
        TrainingExample(question="b", positive="of b", negatives=("worse",)),
    ]
    questions, passages = vectors(2, 1), vectors(4, 2)
    table = BatchSideData.of(examples, 1)
    loss = TwoTowerLoss(table=table, distil=1.0, distil_by=by)  # type: ignore[arg-type]  # pytest hands over plain words
    added = loss(questions, passages, torch.arange(2)) - TwoTowerLoss(table=table)(questions, passages, torch.arange(2))
    gradient = torch.autograd.grad(added, questions)[0]
    assert gradient[0].abs().max().item() > 0
    assert gradient[1].abs().max().item() == pytest.approx(0, abs=1e-6)


# ---- in several processes


def half_a_batch(rank: int, folder: str) -> None:
    """One of two processes: its half's loss and gradient, averaged over both as a distributed training does."""
    from torch import distributed

    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    loss, gradient = through_a_map(slice(3 * rank, 3 * rank + 3))
    for value in (loss, gradient):
        distributed.all_reduce(value)
    np.save(f"{folder}/{rank}.npy", np.append(gradient.numpy().ravel(), loss.numpy()) / 2)
    distributed.destroy_process_group()


def through_a_map(some: slice) -> tuple[torch.Tensor, torch.Tensor]:
    examples = [replace(example, weight=0.3 + 0.1 * row) for row, example in enumerate(EXAMPLES)]
    examples[1] = replace(examples[1], excluded=("positive 5", "negative 0"))
    examples[4] = replace(examples[4], negatives=())
    weights = torch.eye(DIM, requires_grad=True)
    columns = [vectors(BATCH, seed).detach()[some] @ weights for seed in (1, 2, 3)]
    loss = TwoTowerLoss(table=BatchSideData.of(examples, 1), emphasis=2.0)(
        columns[0], torch.cat(columns[1:]), torch.arange(BATCH)[some]
    )
    return loss.detach(), torch.autograd.grad(loss, weights)[0]


def test_two_processes_with_half_a_batch_each_have_the_whole_batchs_gradient(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(half_a_batch, (str(tmp_path),), nprocs=2)
    loss, gradient = through_a_map(slice(None))
    whole = np.append(gradient.numpy().ravel(), loss.numpy())
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{rank}.npy"), whole, rtol=1e-5, atol=1e-5)


# ---- through a model


@pytest.fixture(scope="module")
def encoder(base_folder: Any) -> Encoder:
    return Encoder.open(base_folder, precision="fp32")


TEXTS = (
    ["What does the red light mean?", "How do I reset it?", "Why is the pond so cold today?"],
    ["The lamp is red when the filter is full.", "Hold the button for ten seconds, then let it go and wait.", "Cold."],
    [
        "A duck.",
        "Press any key to see the menu, which holds all of the settings that there are.",
        "Ice is frozen water.",
    ],
)
ROWS = [
    TrainingExample(question=question, positive=positive, negatives=(negative,))
    for question, positive, negative in zip(*TEXTS, strict=True)
]


def gradients_of(model: Any, loss: Any) -> tuple[float, list[np.ndarray[Any, Any]]]:
    model.zero_grad()
    torch.manual_seed(3)
    columns = [model.preprocess(list(column)) for column in TEXTS]
    value = loss(columns, torch.arange(3))
    value.backward()
    return value.item(), [
        parameter.grad.numpy().copy() for parameter in model.parameters() if parameter.grad is not None
    ]


def test_the_trainers_loss_is_the_librarys_whatever_the_chunks(encoder: Encoder) -> None:
    model = encoder.model.eval()  # without dropout, whose draws depend on the order of texts
    value, theirs = gradients_of(model, MultipleNegativesRankingLoss(model, scale=SCALE))
    ours = make_trainer_loss(model, TwoTowerLoss(table=BatchSideData.of(ROWS, 1)), chunk=2)
    own_value, own = gradients_of(model, ours)
    assert own_value == pytest.approx(value, abs=1e-5)
    for mine, reference in zip(own, theirs, strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-5)


def test_a_cached_loss_has_the_gradients_of_the_uncached_one(encoder: Encoder) -> None:
    """With dropout: the second forward pass of a chunk draws the numbers of the first."""
    model = encoder.model.train()
    table = BatchSideData.of(ROWS, 1)
    value, plain = gradients_of(model, make_trainer_loss(model, TwoTowerLoss(table=table), chunk=2))
    cached_value, cached = gradients_of(
        model, make_trainer_loss(model, TwoTowerLoss(table=table), chunk=2, cached=True)
    )
    assert cached_value == pytest.approx(value, abs=1e-6)
    for mine, reference in zip(cached, plain, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-6)


def test_a_cached_loss_holds_one_chunks_activations(encoder: Encoder) -> None:
    """Largest number of bytes that autograd keeps at once: an uncached batch keeps every chunk's."""
    model = encoder.model.train()
    table = BatchSideData.of(ROWS, 1)

    def kept(*, cached: bool) -> int:
        now = largest = 0

        class Kept:
            """Counts while it lives."""

            def __init__(self, tensor: torch.Tensor) -> None:
                nonlocal now, largest
                self.tensor = tensor
                now += tensor.nbytes
                largest = max(largest, now)

            def __del__(self) -> None:
                nonlocal now
                now -= self.tensor.nbytes

        with torch.autograd.graph.saved_tensors_hooks(Kept, lambda one: one.tensor):
            gradients_of(model, make_trainer_loss(model, TwoTowerLoss(table=table), chunk=1, cached=cached))
        return largest

    assert kept(cached=True) < 0.4 * kept(cached=False)


def test_paired_cosines_are_the_diagonal() -> None:
    left, right = vectors(4, 1), vectors(4, 2)
    np.testing.assert_allclose(
        paired_cosines(left, right).detach(), cosine_matrix(left, right).diag().detach(), atol=1e-6
    )
