"""Tier 3: both towers, by the SentenceTransformerTrainer, in-batch negatives plus mined ones, from the base."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FINISHED = "finished"
SCALE = 20.0  # inverse temperature, the usual one for unit vectors
CHECKPOINT_STEPS = 25  # what a kill can cost: about half a minute on two cores


@dataclass(frozen=True, slots=True)
class Example:
    """One row as texts."""

    question: str
    positive: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard to train."""

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-4
    seed: int = 13
    bf16: bool = False


def train_towers(
    base: Path, examples: Sequence[Example], work: Path, plan: Plan, progress: Callable[[int], None] = lambda n: None
) -> Path:
    """Trains from *base* and returns the folder of the trained model, inside *work*.

    Killed and called again with the same arguments it goes on from its last checkpoint; finished, it returns at
    once. The loss is InfoNCE over the batch's positives and negatives (van den Oord et al. 2018; in-batch
    negatives as in DPR, Karpukhin et al. 2020); no text occurs twice in a batch, so that no question's own
    passage is its negative.
    """
    trained = work / "towers"
    if (work / FINISHED).exists():
        return trained
    from transformers import set_seed

    from rag.encoder import load_model

    set_seed(plan.seed)
    model = load_model(base)
    trainer = _trainer(model, examples, work / "checkpoints", plan, progress)
    trainer.train(resume_from_checkpoint=_last_checkpoint(work / "checkpoints"))
    model.save_pretrained(str(trained), create_model_card=False)
    (work / FINISHED).touch()
    return trained


def n_steps(n_examples: int, plan: Plan) -> int:
    """Optimiser steps of a whole training."""
    return plan.epochs * max(1, n_examples // plan.batch_size)


def _trainer(
    model: Any, examples: Sequence[Example], checkpoints: Path, plan: Plan, progress: Callable[[int], None]
) -> Any:
    import torch
    from datasets import disable_progress_bars
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback

    disable_progress_bars()  # the trainer counts words for a model card of its own; ours is written at the end
    model.model_card_data.widget = [{"text": ""}]  # an example is there, so it computes none, with a bar of its own
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        warmup_steps=0.1,  # below 1 it is a share of all steps
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        bf16=plan.bf16,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="steps",
        save_steps=CHECKPOINT_STEPS,
        save_total_limit=1,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=plan.seed,
        dataloader_drop_last=len(examples) >= 2 * plan.batch_size,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=_dataset(examples),
        loss=MultipleNegativesRankingLoss(model, scale=SCALE),
        callbacks=[_progress_callback(progress)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
    return trainer


def _dataset(examples: Sequence[Example]) -> Any:
    """Columns anchor, positive, negative_1 …: as many negatives as the example with the fewest has."""
    from datasets import Dataset

    n_negatives = min((len(example.negatives) for example in examples), default=0)
    columns = {"anchor": [e.question for e in examples], "positive": [e.positive for e in examples]}
    for place in range(n_negatives):
        columns[f"negative_{place + 1}"] = [example.negatives[place] for example in examples]
    return Dataset.from_dict(columns)


def _progress_callback(progress: Callable[[int], None]) -> Any:
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
        """Counts optimiser steps, those before a resume too."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(1)

    return Steps()


def _last_checkpoint(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written whole."""
    whole = [path for path in checkpoints.glob("checkpoint-*") if _is_whole(path)]
    return str(max(whole, key=lambda path: int(path.name.split("-")[1]))) if whole else None


def _is_whole(checkpoint: Path) -> bool:
    """transformers writes trainer_state.json last, though not at one stroke: a kill can leave half of it."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True


def merge_towers(base: Path, trained: Path, alpha: float, made: Path) -> None:
    """Writes alpha · trained + (1 - alpha) · base, weight by weight (WiSE-FT, Wortsman et al. 2022), to *made*."""
    from rag.encoder import load_model

    model = load_model(trained)
    if alpha < 1.0:
        before = load_model(base).state_dict()
        merged = {
            name: alpha * tensor + (1 - alpha) * before[name] if tensor.is_floating_point() else tensor
            for name, tensor in model.state_dict().items()
        }
        model.load_state_dict(merged)
    model.save_pretrained(str(made), create_model_card=False)
