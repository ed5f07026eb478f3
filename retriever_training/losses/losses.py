"""What training minimises: each loss a pure function of scores or vectors, and one module that hands it to the trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

TRIPLET_MARGIN = (
    0.2  # of cosines; the library's default, a Euclidean margin of 5, is out of reach: unit vectors are at most 2 apart
)
TEXTS_PER_FORWARD = 16  # texts a forward pass; chunks of texts of one length hold little padding

VectorLoss = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""Takes the questions' vectors `(b, dim)`, the passages' `(b · columns, dim)`, all first columns before all second
ones, and the rows' numbers `(b,)`; gives the loss."""


def cosine_matrix(questions: Tensor, passages: Tensor) -> Tensor:
    """`(q, p)` float32, whatever precision the vectors were made in: a bf16 product is off by up to 0.004, times the scale."""
    import torch
    from torch.nn.functional import normalize

    with torch.autocast(questions.device.type, enabled=False):
        return normalize(questions.float(), dim=-1) @ normalize(passages.float(), dim=-1).T


def paired_cosines(left: Tensor, right: Tensor) -> Tensor:
    """`(n,)` float32, row by row."""
    from torch.nn.functional import cosine_similarity

    return cosine_similarity(left.float(), right.float(), dim=-1)


def triplet_loss(positive: Tensor, negative: Tensor, margin: float = TRIPLET_MARGIN) -> Tensor:
    """Mean of max(0, margin − s⁺ + s⁻) over rows; s⁺ and s⁻, `(n,)`, are cosines of a question with its passages.

    The triplet loss of FaceNet (Schroff, Kalenichenko and Philbin, CVPR 2015, section 3.1) with cosines for squared
    distances. A row whose negative is farther than the margin teaches nothing.

    >>> import torch
    >>> triplet_loss(torch.tensor([0.9, 0.5]), torch.tensor([0.2, 0.4]), margin=0.2)
    tensor(0.0500)
    """
    return (margin - positive + negative).clamp(min=0).mean()


def info_nce(
    scores: Tensor,
    positive: Tensor,
    weights: Tensor | None = None,
    masked: Tensor | None = None,
    offsets: Tensor | None = None,
    total: Tensor | None = None,
) -> Tensor:
    """Weighted mean over rows of −log softmax(scores + offsets) at the positive.

    InfoNCE (van den Oord et al. 2018, section 2.3); with the other questions' passages among the columns these are
    the in-batch negatives of DPR (Karpukhin et al. 2020, section 3.2).

    *scores* `(b, c)`, scale · cosine; *positive* `(b,)`, each row's column; *weights* `(b,)`, 1 each by default.
    What is true in *masked* `(b, c)` is no negative of the row and gets no gradient; the row's own positive always
    stays. *offsets* `(b, c)` are added to the scores: scale · weight · BM25 as in serving, or log n for a passage that
    is to count as if it was there n times. The sum is divided by *total*, by default the sum of the weights.

    >>> import torch
    >>> scores = torch.tensor([[2.0, 2.0, 9.0]])
    >>> info_nce(scores, torch.tensor([0]), masked=torch.tensor([[False, False, True]]))  # log 2
    tensor(0.6931)
    """
    import torch
    from torch.nn.functional import cross_entropy

    if offsets is not None:
        scores = scores + offsets
    if masked is not None:
        own = torch.zeros_like(masked).scatter(1, positive[:, None], value=True)
        scores = scores.masked_fill(masked & ~own, -torch.inf)
    losses = cross_entropy(scores, positive, reduction="none")
    if weights is None:
        return losses.mean() if total is None else losses.sum() / total
    return (losses * weights).sum() / (weights.sum() if total is None else total)


def margin_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ((s⁺ − s⁻) − (t⁺ − t⁻))²: the student learns the teacher's margins, not its scores.

    Both are `(b, 1 + n)`, the positive first. Hofstätter et al. 2020 (arXiv 2010.02666, section 4.1). A teacher that
    scores the negative higher turns the margin round: a mislabelled row does no harm.

    >>> import torch
    >>> margin_mse(torch.tensor([[0.8, 0.5]]), torch.tensor([[3.0, 2.0]]))  # (0.3 − 1)²
    tensor(0.4900)
    """
    from torch.nn.functional import mse_loss

    return mse_loss(student[:, :1] - student[:, 1:], (teacher[:, :1] - teacher[:, 1:]).detach())


def kl_distillation(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(student / T)), mean over the rows of `(b, n)` scores.

    Hinton, Vinyals and Dean 2015 (arXiv 1503.02531, section 2), over a list of passages as in RocketQAv2 (Ren et al.,
    EMNLP 2021). With a model's own earlier scores as the teacher it holds a model to what it knew.

    >>> import torch
    >>> kl_distillation(torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, 6.0]]))
    tensor(0.)
    """
    from torch.nn.functional import kl_div, log_softmax, softmax

    target = softmax(teacher.detach() / temperature, dim=1)
    divergence = kl_div(log_softmax(student / temperature, dim=1), target, reduction="batchmean")
    return divergence * temperature**2


def anchor_loss(vectors: Tensor, base: Tensor) -> Tensor:
    """Mean of 1 − cosine between the model's vectors and the base's of the same texts, both `(n, dim)`.

    The embedding matching of EmbedDistill (Kim et al. 2023, arXiv 2301.12005, equation 7) with the model's own
    base as the teacher: what training does not move stays where it was.

    >>> import torch
    >>> anchor_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    tensor(1.)
    """
    return (1 - paired_cosines(vectors, base.detach())).mean()


def make_trainer_loss(
    model: Any, of_vectors: VectorLoss, *, chunk: int = TEXTS_PER_FORWARD, cached: bool = False
) -> Any:
    """A module for the SentenceTransformerTrainer; the data set's `label` column holds the rows' numbers.

    A batch's passages are sorted by length and embedded *chunk* at a time, so that short ones are not padded to the
    longest. *cached*: each chunk is embedded twice, first without and then with gradients, and only one chunk's
    activations are in memory at a time (GradCache, Gao et al. 2021, arXiv 2101.06983): the gradients are the same,
    the batch may be as large as its vectors allow.
    """
    import torch
    from sentence_transformers.base.losses.gradcache import CachedLossMixin

    class TrainerLoss(CachedLossMixin, torch.nn.Module):  # type: ignore[misc]  # sentence-transformers has no types here
        """Embeds the columns; the loss itself is *of_vectors*."""

        uses_gradient_cache = cached
        embed_minibatch_iter: Any  # these two are the mixin's, which mypy cannot see
        forward_cached: Any

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.mini_batch_size = chunk
            self.orders: list[Tensor] = []

        def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
            questions, *passages = sentence_features
            sorted_columns = [_by_length(questions), _by_length(_merged(passages))]
            self.orders = [order for _, order in sorted_columns]
            features = [column for column, _ in sorted_columns]
            if cached:
                loss: Tensor = self.forward_cached(features, labels)
                return loss
            return self.calculate_loss([self._vectors(column) for column in features], labels)

        def _vectors(self, column: dict[str, Tensor]) -> list[Tensor]:
            return [
                embedding for embedding, _ in self.embed_minibatch_iter(column, with_grad=True, copy_random_state=False)
            ]

        def calculate_loss(self, reps: list[list[Tensor]], labels: Tensor, *, with_backward: bool = False) -> Tensor:
            """*reps*: the chunks' vectors, questions and passages, shortest text first."""
            questions, passages = (
                torch.cat(chunks)[order.argsort()] for chunks, order in zip(reps, self.orders, strict=True)
            )
            loss = of_vectors(questions, passages, labels)
            if with_backward:
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                return loss.detach()
            return loss

    return TrainerLoss()


def _merged(columns: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The columns below each other, padded to one width."""
    from sentence_transformers.base.losses.merged_forward import merge_feature_batches

    merged: dict[str, Tensor] | None = merge_feature_batches(columns)
    assert merged is not None, "columns of texts under one tokenizer can be merged"
    return merged


def _by_length(features: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """Returns the rows, shortest first, and where each came from."""
    import torch

    order = features["attention_mask"].sum(dim=1).argsort(stable=True)
    rows = len(order)
    moved = {
        key: value[order] if isinstance(value, torch.Tensor) and value.ndim and len(value) == rows else value
        for key, value in features.items()
    }
    return moved, order
