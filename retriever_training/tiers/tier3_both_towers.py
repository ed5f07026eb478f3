"""Tier 3: both towers, trained from the base by the SentenceTransformerTrainer with weighted, masked InfoNCE.

On several GPUs the same function runs under `accelerate launch` or `torchrun`, one process each: batches are `batch_size`
rows a process, every process's passages are negatives for all (the vectors are gathered with their gradients), and the first
process writes. Tried with two processes on a CPU (`torchrun --nproc_per_node 2`); there `accelerate launch --cpu` starts one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from retriever_training.losses.batch_sampler import DistinctTextBatchSampler, cluster_topics, count_batches
from retriever_training.losses.batch_side_data import BatchSideData, EncodeTexts, LexicalBonus, TrainingExample
from retriever_training.losses.two_tower_loss import TwoTowerLoss
from retriever_training.negatives.denoising.false_negative_rules import NEAR_DUPLICATE_COSINE
from retriever_training.tiers.freeze_layers import freeze_layers

__all__ = ["TowersPlan", "TrainingExample", "count_tower_steps", "merge_towers", "train_towers"]

log = logging.getLogger(__name__)

FINISHED_MARKER = "finished"
CHECKPOINT_STEPS = 25  # what a kill can cost: about half a minute on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class TowersPlan:
    """How long and how hard to train."""

    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 1e-4
    seed: int = 13
    bf16: bool = False
    sources: tuple[str, ...] = ("feedback",)
    """Finders of the negatives of a row, in order of preference, in addition to those of its batch. Mined negatives gained
    nothing over twice as many rows in a batch on three data sets, and lost on two of them: see decision 0014."""
    n_negatives: int = 1
    """Columns of mined negatives; an example may have fewer."""
    pool: int = 1
    """Mined negatives of a row that take turns over the epochs; a row holds *n_negatives* of them at a time."""
    easy_first: bool = False
    """Whether the first epoch draws from the easier half of a larger pool, and only the last one from all of it."""
    rounds: int = 1
    """Trainings, each from the base; the negatives of a later one are mined by the version of the one before."""
    emphasis: float = 1.0
    """A row's own negative counts in its softmax as if it occurred this many times."""
    topic_share: float = 0.0
    """The share of a batch that is about neighbouring topics, so that its passages are hard negatives for each other."""
    suspected_above: float = 0.0
    """In-batch passages above this share of the positive's cosine under the base are not negatives; 0: all are."""
    frozen_layers: int = 0
    """This many of the lowest layers, and the embeddings below them, stay as in the base; 0: all learn."""
    anchor: float = 0.0
    """The weight of the distance to the base's vectors of the same texts."""
    anchor_by: Literal["vectors", "scores"] = "vectors"
    """Whether the anchor holds the vectors themselves, or each question's distribution over the batch's passages."""
    distil: float = 0.0
    """The weight of the distance to a teacher's scores of a row's own passages, if the row has them."""
    distil_by: Literal["kl", "margin_mse"] = "kl"
    loss: Literal["info_nce", "triplet"] = "info_nce"
    """Against all passages of the batch, or against the row's own negatives alone, by a margin."""
    chunk: int = 16
    """Texts in a forward pass."""
    cached: bool = False
    """One chunk's activations in memory at a time, for batches that do not fit; a third more work."""

    @property
    def n_mined(self) -> int:
        """Mined negatives of a row; 0 if only passages that people rejected are used, because few rows have these."""
        return self.n_negatives if set(self.sources) - {"feedback"} else 0

    @property
    def takes_turns(self) -> bool:
        """Whether every epoch has its own rows; then the examples are those of all epochs, one after the other."""
        return self.epochs > 1 and self.pool > self.n_negatives > 0


def train_towers(
    base: Path,
    examples: Sequence[TrainingExample],
    work: Path,
    plan: TowersPlan,
    progress: Callable[[int], None] = lambda n: None,
    lexical: LexicalBonus | None = None,
    base_vectors: tuple[EncodeTexts, EncodeTexts] | None = None,
) -> Path:
    """Trains from *base* and returns the folder of the trained model, inside *work*.

    If it was killed and is called again with the same arguments, it continues from its last checkpoint; if it had
    finished, it returns immediately. The loss is InfoNCE over the batch's positives and negatives (van den Oord et al.
    2018; in-batch negatives as in DPR, Karpukhin et al. 2020), with the rows' weights; passages that are right for a
    question, or near-duplicates of these, are not its negatives. *lexical* gives what BM25 adds in serving; it is then
    added in training too. *base_vectors* give the base's vectors of questions and of passages; with them near-duplicates
    of the positive are masked, and without them they are encoded if the plan needs them.

    Raises:
        UsageError: the model has fewer layers than `plan.frozen_layers`.
    """
    trained = work / "towers"
    if (work / FINISHED_MARKER).exists():
        return trained
    from transformers import set_seed

    from rag.embedding.encoder import load_model

    set_seed(plan.seed)
    if base_vectors is None and needs_base_vectors(plan):
        base_vectors = _by_encoder(base)
    table = BatchSideData.of(examples, plan.n_negatives, lexical, base_vectors, NEAR_DUPLICATE_COSINE)
    model = load_model(base)
    freeze_layers(model, plan.frozen_layers)
    trainer = _trainer(model, examples, table=table, checkpoints=work / "checkpoints", plan=plan, progress=progress)
    trainer.train(resume_from_checkpoint=_last_checkpoint(work / "checkpoints"))
    if trainer.is_world_process_zero():
        model.save_pretrained(str(trained), create_model_card=False)
        (work / FINISHED_MARKER).touch()
    trainer.accelerator.wait_for_everyone()
    return trained


def needs_base_vectors(plan: TowersPlan) -> bool:
    """Whether the plan needs the base's vectors of the texts.

    >>> needs_base_vectors(TowersPlan()), needs_base_vectors(TowersPlan(anchor=0.1))
    (False, True)
    """
    return bool(plan.topic_share or plan.suspected_above or plan.anchor)


def _by_encoder(base: Path) -> tuple[EncodeTexts, EncodeTexts]:
    from rag.embedding.encoder import Encoder

    encoder = Encoder.open(base)
    return encoder.encode_queries, encoder.encode_passages


def count_tower_steps(n_examples: int, plan: TowersPlan) -> int:
    """Returns the number of optimiser steps of a whole training in one process; n processes take an n-th of them each.

    >>> count_tower_steps(128, TowersPlan(epochs=2)), count_tower_steps(2 * 128, TowersPlan(epochs=2, pool=4))
    (4, 4)
    """
    an_epoch = n_examples // plan.epochs if plan.takes_turns else n_examples
    return plan.epochs * count_batches(an_epoch, plan.batch_size)


def _trainer(
    model: Any,
    examples: Sequence[TrainingExample],
    table: BatchSideData,
    checkpoints: Path,
    plan: TowersPlan,
    progress: Callable[[int], None],
) -> Any:
    import torch
    from datasets import disable_progress_bars
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from transformers import PrinterCallback

    disable_progress_bars()  # the trainer counts words for a model card of its own; ours is written at the end
    model.model_card_data.widget = [{"text": ""}]  # an example is there, so it computes none, with a bar of its own
    batches = _batches(examples, table, plan)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1 if plan.takes_turns else plan.epochs,
        per_device_train_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        warmup_steps=0.1,  # below 1 it is a share of all steps
        prompts=_prompts(model, table.n_negatives),
        bf16=plan.bf16,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="steps",
        save_steps=CHECKPOINT_STEPS,
        save_total_limit=1,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=plan.seed,
        dataloader_drop_last=batches.drop_last,
    )

    class Trainer(SentenceTransformerTrainer):  # type: ignore[misc]  # sentence-transformers has no types here
        """With our batches; as an argument they would have to be pickled into every checkpoint."""

        def get_batch_sampler(self, *_: Any, **__: Any) -> DistinctTextBatchSampler:
            return batches

    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=_dataset(examples, table),
        loss=_loss(model, table, plan),
        callbacks=[_progress_callback(progress)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
    return trainer


def _loss(model: Any, table: BatchSideData, plan: TowersPlan) -> Any:
    from retriever_training.losses.losses import make_trainer_loss

    loss = TwoTowerLoss(
        table=table,
        kind=plan.loss,
        emphasis=plan.emphasis,
        suspected_above=plan.suspected_above,
        anchor=plan.anchor,
        anchor_by=plan.anchor_by,
        distil=plan.distil,
        distil_by=plan.distil_by,
    )
    return make_trainer_loss(model, loss, chunk=plan.chunk, cached=plan.cached)


def _batches(examples: Sequence[TrainingExample], table: BatchSideData, plan: TowersPlan) -> DistinctTextBatchSampler:
    """Returns the sampler of batches whose rows share no passage and no question."""
    n_passages = len(table.passages)
    question = {
        text: n_passages + index for index, text in enumerate(dict.fromkeys(example.question for example in examples))
    }
    texts = [
        frozenset({question[example.question], *(int(passage) for passage in own if passage >= 0)})
        for example, own in zip(examples, table.columns, strict=True)
    ]
    topics = None
    if plan.topic_share and table.base is not None:
        topics = cluster_topics(table.base.questions, max(1, len(examples) // plan.batch_size), plan.seed)
    n_parts = plan.epochs if plan.takes_turns else 1
    return DistinctTextBatchSampler(
        texts, plan.batch_size, seed=plan.seed, topics=topics, topic_share=plan.topic_share, n_parts=n_parts
    )


def _prompts(model: Any, n_negatives: int) -> dict[str, str]:
    """Returns the prompts that the model puts before questions and passages, by column."""
    kinds = {"anchor": "query", "positive": "document"}
    kinds |= {f"negative_{index + 1}": "document" for index in range(n_negatives)}
    return {column: model.prompts[kind] for column, kind in kinds.items() if model.prompts.get(kind)}


def _dataset(examples: Sequence[TrainingExample], table: BatchSideData) -> Any:
    """Returns the columns anchor, positive, negative_1 …, with the row's number as the label."""
    from datasets import Dataset

    columns: dict[str, Any] = {"anchor": [example.question for example in examples]}
    for index in range(table.n_negatives + 1):
        name = f"negative_{index}" if index else "positive"
        columns[name] = [table.text(row, index) for row in range(len(examples))]
    return Dataset.from_dict({**columns, "label": list(range(len(examples)))})


def _progress_callback(progress: Callable[[int], None]) -> Any:
    from transformers import TrainerCallback

    class _StepCounter(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
        """Counts optimiser steps, those before a resume too."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(1)

    return _StepCounter()


def _last_checkpoint(checkpoints: Path) -> str | None:
    """Returns the newest checkpoint that was written completely."""
    whole = [path for path in checkpoints.glob("checkpoint-*") if _is_whole(path)]
    return str(max(whole, key=lambda path: int(path.name.split("-")[1]))) if whole else None


def _is_whole(checkpoint: Path) -> bool:
    """Whether the checkpoint is complete: transformers writes trainer_state.json last, and a kill can leave half of it."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True


def merge_towers(base: Path, trained: Path, alpha: float, made: Path) -> None:
    """Writes alpha · trained + (1 - alpha) · base, weight by weight (WiSE-FT, Wortsman et al. 2022), to *made*."""
    from rag.embedding.encoder import load_model

    model = load_model(trained)
    if alpha < 1.0:
        before = load_model(base).state_dict()
        merged = {
            name: alpha * tensor + (1 - alpha) * before[name] if tensor.is_floating_point() else tensor
            for name, tensor in model.state_dict().items()
        }
        model.load_state_dict(merged)
    model.save_pretrained(str(made), create_model_card=False)
