"""What a user would do instead of a night: BM25, RRF, and two libraries' documented recipes at the ladder's budget."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from eval.retrieval.evaluate import Rankings, rank_passages
from eval.statistics.ranking_metrics import measure_per_question, run_from_rankings
from rag.embedding.encoder import Encoder, load_model
from rag.errors import TooLittleDataError
from rag.retrieval.fusion import reciprocal_rank_fusion
from retriever_training.bench.harness.workbench import Cost, RungResult, TrainingBench
from retriever_training.bench.ladder.rows import mining_context
from retriever_training.bench.ladder.rungs import Rung
from retriever_training.negatives.finders import FINDERS
from retriever_training.progress import ProgressReporter
from retriever_training.tiers.freeze_layers import freeze_layers
from retriever_training.tiers.tier3_both_towers import TowersPlan

RELATIVE_MARGIN = 0.05  # as the docstring of `mine_hard_negatives` recommends, with sampling_strategy="top"
DOCUMENTED_RATE = 2e-5  # in the examples of sentence-transformers' documentation
OUR_RATE = TowersPlan().learning_rate
MNRL_SCALE = 20.0  # MultipleNegativesRankingLoss's own
FLAG_RANK_WINDOW = (10, 210)  # ranks, as in FlagEmbedding's example of mining (range_for_sampling)
FLAG_SCALE = 50.0  # 1 / τ with FlagEmbedding's temperature of 0.02

log = logging.getLogger(__name__)


def run_bm25(bench: TrainingBench, _seed: int, _watch: ProgressReporter) -> RungResult:
    """BM25 alone."""
    return RungResult({"served": _values(bench, _ranked(bench).lexical)}, Cost(), {})


def run_rrf(bench: TrainingBench, _seed: int, _watch: ProgressReporter) -> RungResult:
    """The base and BM25 by reciprocal ranks (k = 60), the first hundred of each."""
    found = _ranked(bench)
    fused = []
    for sides in zip(found.dense, found.lexical, strict=True):
        scores = reciprocal_rank_fusion([[str(row) for row in side] for side in sides])
        fused.append([int(row) for row, _ in sorted(scores.items(), key=lambda one: -one[1])])
    return RungResult({"served": _values(bench, fused)}, Cost(), {})


def _ranked(bench: TrainingBench) -> Rankings:
    words = bench.data.lexical.score_matrix(list(bench.data.questions.values()))
    return rank_passages(bench.base.reported_vectors, bench.base.passages, words, bench.default_weight)


def _values(bench: TrainingBench, ranked: Iterable[Iterable[int]]) -> dict[str, float]:
    """nDCG@10 of each reported question, from rows of passages, best first."""
    ids = bench.data.passage_ids
    named = {name: [ids[row] for row in rows] for name, rows in zip(bench.data.questions, ranked, strict=True)}
    return measure_per_question(bench.data.qrels, run_from_rankings(named))["nDCG@10"]


def run_sentence_transformers(rate: float, bench: TrainingBench, seed: int, watch: ProgressReporter) -> RungResult:
    """`mine_hard_negatives` as its docstring recommends, then MultipleNegativesRankingLoss without duplicates in a batch.

    Raises:
        TooLittleDataError: the margin leaves no negative at all.
    """
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import mine_hard_negatives

    disable_progress_bars()
    data = bench.data
    pairs = [
        (question, data.texts[row])
        for question, right in zip(data.train.questions, data.train.right, strict=True)
        for row in right
    ]
    started = time.perf_counter()
    mined = mine_hard_negatives(
        Dataset.from_dict({"anchor": [row for row, _ in pairs], "positive": [row for _, row in pairs]}),
        load_model(bench.encoder.folder),
        corpus=list(data.texts),
        relative_margin=RELATIVE_MARGIN,
        num_negatives=1,
        sampling_strategy="top",
        batch_size=32,
        verbose=False,
    )
    cost = Cost(mine_s=time.perf_counter() - started, n_mined=len(set(data.texts)))
    if not len(mined):
        raise TooLittleDataError(
            f"mine_hard_negatives finds no negative for {len(pairs):,} pairs at a margin of "
            f"{RELATIVE_MARGIN}: leave this rung out, with --rung"
        )
    log.info("mine_hard_negatives: %d rows of %d pairs", len(mined), len(pairs))
    return _plain(bench, mined, rate=rate, scale=MNRL_SCALE, seed=seed, cost=cost, watch=watch)


def run_rank_window(bench: TrainingBench, seed: int, watch: ProgressReporter) -> RungResult:
    """FlagEmbedding's mining, re-created from its description: a random passage of the ranks in WINDOW, nothing cleaned.

    Positives are left out by their text; if the window is empty, a random passage is in, whatever it is.
    """
    from datasets import Dataset

    data = bench.data
    started = time.perf_counter()
    mine = mining_context(bench, seed)
    generator = mine.generator("rank window")
    columns: dict[str, list[str]] = {"anchor": [], "positive": [], "negative": []}
    for question, right, candidates in zip(
        data.train.questions, data.positives, FINDERS["dense"](mine, FLAG_RANK_WINDOW[1]), strict=True
    ):
        window = [candidate.passage for candidate in candidates[FLAG_RANK_WINDOW[0] :]] or list(range(len(data.texts)))
        for row in sorted(right):
            negative = window[int(generator.integers(len(window)))]
            for name, text in zip(columns, (question, data.texts[row], data.texts[negative]), strict=True):
                columns[name].append(text)
    cost = Cost(mine_s=time.perf_counter() - started)
    return _plain(bench, Dataset.from_dict(columns), rate=OUR_RATE, scale=FLAG_SCALE, seed=seed, cost=cost, watch=watch)


def _plain(
    bench: TrainingBench, rows: Any, rate: float, scale: float, seed: int, cost: Cost, watch: ProgressReporter
) -> RungResult:
    """Trains with the library's own trainer, loss and sampler, and measures what comes out."""
    started = time.perf_counter()
    made = bench.folder / "models" / f"beside-{seed}"
    model = _train(bench, rows, rate, scale, seed)
    model.save_pretrained(str(made), create_model_card=False)
    watch("train: beside", 1)(1)
    cost += Cost(train_s=time.perf_counter() - started, n_trained=bench.budget.steps * bench.budget.passages)
    started = time.perf_counter()
    sight = bench.look(Encoder.open(made), watch)
    shutil.rmtree(made)
    cost += Cost(encode_s=time.perf_counter() - started, n_encoded=len(sight.passages))
    values, weight = bench.measured(sight)
    return RungResult(values, cost, {"lexical_weight": weight, "learning_rate": rate, "n_rows": len(rows)})


def _train(bench: TrainingBench, rows: Any, rate: float, scale: float, seed: int) -> Any:
    import torch
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback, set_seed

    set_seed(seed)
    model = load_model(bench.encoder.folder)
    freeze_layers(model, bench.budget.frozen_layers)
    model.model_card_data.widget = [{"text": ""}]  # an example is there, so the trainer computes none
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(bench.folder / "models"),
        max_steps=bench.budget.steps,
        per_device_train_batch_size=bench.budget.pairs,
        learning_rate=rate,
        warmup_steps=0.1,
        bf16=bench.bf16,
        use_cpu=not torch.cuda.is_available(),
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    loss = MultipleNegativesRankingLoss(model, scale=scale)
    trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=loss)
    trainer.remove_callback(PrinterCallback)  # it prints to stdout, which is for data
    trainer.train()
    return model


BASELINE_RUNGS: Mapping[str, Rung] = {
    "lexical": Rung("BM25 alone", run_bm25, is_seeded=False, is_baseline=True),
    "rrf": Rung("base and BM25 by RRF", run_rrf, is_seeded=False, is_baseline=True),
    "st": Rung("sentence-transformers' recipe", partial(run_sentence_transformers, OUR_RATE), is_baseline=True),
    "st_documented": Rung(
        "the same at its documented rate", partial(run_sentence_transformers, DOCUMENTED_RATE), is_baseline=True
    ),
    "rank_window": Rung("FlagEmbedding's rank window", run_rank_window, is_baseline=True),
}
