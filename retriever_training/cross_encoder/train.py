"""A cross-encoder from a night's rows: the base's transformer with a fresh head, which reads question and passage together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rag.embedding.encoder import quiet_libraries
from rag.errors import EncoderError
from rag.records import Passage
from retriever_training.losses.batch_side_data import TrainingExample
from retriever_training.losses.platt import PlattScaling
from retriever_training.negatives.training_files import RowJson

QUESTION_TOKENS = 32  # next to as many of the passage as the encoder reads; questions have about 15
MAX_LABEL_SHARE = 0.99  # of a list's probability that one passage may get


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEncoderPlan:
    """How long and how hard to train."""

    epochs: int = 1
    batch_size: int = 8
    """Questions a step, each with all its passages."""
    learning_rate: float = 1e-4
    seed: int = 13
    bf16: bool = False
    chunk: int = 20
    """Pairs a forward pass."""


def training_examples(lines: Sequence[RowJson], passages: Mapping[str, Passage]) -> Iterator[TrainingExample]:
    """Rows as `negatives.mix.as_json` tells them, as texts that encoders read; those without a negative teach nothing.

    >>> passages = {name: Passage(
    ...     passage_id=name, document_id="d", source="s", title="",
    ...     heading="", text=name.upper(), start=0, end=1,
    ... ) for name in "ab"}
    >>> line = {"query": "q?", "positive": "a", "weight": 0.8, "negatives": [{"passage_id": "b"}]}
    >>> [(one.positive, one.negatives, one.weight) for one in training_examples([line, line | {"negatives": []}], passages)]
    [('A', ('B',), 0.8)]
    """
    for line in lines:
        negatives = tuple(passages[negative["passage_id"]].encoded_text for negative in line["negatives"])
        if negatives:
            yield TrainingExample(
                question=line["query"],
                positive=passages[line["positive"]].encoded_text,
                negatives=negatives,
                weight=line["weight"],
            )


def listnet_label(weight: float, n_negatives: int) -> float:
    """What ListNet takes for the right passage, next to 0 for each negative, so that it gets the share *weight*.

    ListNet learns the softmax of its labels; a passage that is believed by .8 should get .8 of its list.

    >>> label = listnet_label(0.8, 4)
    >>> round(math.exp(label) / (math.exp(label) + 4), 3)
    0.8
    """
    share = min(max(weight, 1 / (n_negatives + 1)), MAX_LABEL_SHARE)
    return math.log(share * n_negatives / (1 - share))


def n_training_steps(n_examples: int, plan: CrossEncoderPlan) -> int:
    """Optimiser steps of a whole training.

    >>> n_training_steps(17, CrossEncoderPlan(epochs=2, batch_size=8))
    6
    """
    return plan.epochs * -(-n_examples // plan.batch_size)


def train_cross_encoder(
    base: Path,
    examples: Sequence[TrainingExample],
    target: Path,
    plan: CrossEncoderPlan,
    progress: Callable[[int], None] = lambda n: None,
) -> None:
    """Trains from the sentence-transformers model in *base* and writes a CrossEncoder to *target*, in safetensors.

    Minimises ListNet over each question's right passage and its negatives (Cao et al., ICML 2007), by the library's
    `CrossEncoderTrainer`. Binary cross-entropy over single pairs learned nothing but how many of them are right: after
    183 steps on feedbackqa-uk every passage got .20. A list has no such way out; what is missing then, a probability,
    is for `calibrate`. A training that was killed starts over.

    Raises:
        EncoderError: *base* is no transformer that a head can be put on.
    """
    from transformers import set_seed

    quiet_libraries()
    set_seed(plan.seed)
    model = _with_fresh_head(base)
    with TemporaryDirectory(prefix="nightjar-cross-encoder-") as scratch:
        _trainer(model, examples, Path(scratch), plan, progress).train()
    model.save_pretrained(str(target), create_model_card=False)


def write_calibration(folder: Path, calibration: PlattScaling) -> None:
    """Writes *calibration* into the head of the cross-encoder in *folder*: its logits become log-odds."""
    import torch

    from rag.retrieval.cross_encoder import CrossEncoder

    model = CrossEncoder(folder).model
    head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    assert head.out_features == 1, "the head comes last and gives one logit"
    with torch.no_grad():
        head.weight.mul_(calibration.slope)
        head.bias.mul_(calibration.slope).add_(calibration.offset)
    model.save_pretrained(str(folder), create_model_card=False)


def _with_fresh_head(base: Path) -> Any:
    """The base's transformer as a `CrossEncoder` of one logit."""
    from rag.embedding.encoder import load_model

    longest = load_model(base).max_seq_length
    if not (base / "config.json").is_file() or longest is None:
        raise EncoderError(
            f"the encoder in {str(base)!r} is no transformer, so no cross-encoder can start from it: "
            "name one as encoder.model that is"
        )
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer

    local = {"local_files_only": True, "trust_remote_code": False}
    transformer = Transformer(
        str(base),
        transformer_task="sequence-classification",
        model_kwargs={**local, "use_safetensors": True},
        config_kwargs={**local, "num_labels": 1},
        processor_kwargs=local,
    )
    most = getattr(transformer.model.config, "max_position_embeddings", None)
    transformer.max_seq_length = min(longest + QUESTION_TOKENS, most or longest + QUESTION_TOKENS)
    return CrossEncoder(modules=[transformer], trust_remote_code=False)


def _trainer(
    model: Any,
    examples: Sequence[TrainingExample],
    scratch: Path,
    plan: CrossEncoderPlan,
    progress: Callable[[int], None],
) -> Any:
    import torch
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import ListNetLoss
    from transformers import PrinterCallback

    disable_progress_bars()
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        warmup_steps=0.1,  # below 1 it is a share of all steps
        bf16=plan.bf16,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=plan.seed,
    )
    labels = [
        [listnet_label(example.weight, len(example.negatives)), *(0.0 for _ in example.negatives)]
        for example in examples
    ]
    columns = {
        "question": [example.question for example in examples],
        "passages": [[example.positive, *example.negatives] for example in examples],
        "labels": labels,
    }
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        loss=ListNetLoss(model, mini_batch_size=plan.chunk),
        callbacks=[_counts_steps(progress)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
    return trainer


def _counts_steps(progress: Callable[[int], None]) -> Any:
    from transformers import TrainerCallback

    class _StepCounter(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(1)

    return _StepCounter()
