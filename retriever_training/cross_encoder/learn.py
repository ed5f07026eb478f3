"""From a night's evidence to a cross-encoder in a folder: rows, training, dev to calibrate and measure, the manifest last."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eval.retrieval.reranking import RerankingComparison, compare_reranking, rerank_served
from rag.app.stores import Stores
from rag.errors import TooLittleDataError, UsageError
from rag.records import utc_now
from rag.retrieval.cross_encoder import CrossEncoder
from rag.retrieval.reranker import RERANK_WEIGHT, Reranker
from retriever_training.cross_encoder.train import (
    CrossEncoderPlan,
    n_training_steps,
    train_cross_encoder,
    training_examples,
    write_calibration,
)
from retriever_training.inspection.negatives_of_question import MiningRequest, mine_night_rows
from retriever_training.judgments.snapshot import load_snapshot
from retriever_training.losses.platt import PlattScaling, fit_platt, log_odds
from retriever_training.negatives.training_files import RowJson
from retriever_training.output_path import atomic_replace, check_output_path
from retriever_training.progress import ProgressReporter, no_progress
from retriever_training.tiers.night_plan import NightPlan

MANIFEST_NAME = "manifest.json"
MANIFEST_KIND = "cross-encoder"
MIN_DEV_QUESTIONS = 10
"""With fewer nothing is said of its worth."""


def check_output_is_free(out: Path, *, force: bool) -> None:
    """Says before the work begins whether *out* can be written.

    Raises:
        UsageError: it is there and *force* is not given, or it is no cross-encoder of ours.
        NotFoundError: the folder that it should lie in is not there.
    """
    check_output_path(out, force=force)
    if out.exists() and not _is_ours(out):
        raise UsageError(f"{str(out)!r} was not written by this command and is not replaced: choose another name")


def learn_cross_encoder(
    stores: Stores,
    plan: NightPlan,
    out: Path,
    *,
    n_negatives: int,
    training: CrossEncoderPlan,
    rerank_k: int,
    force: bool = False,
    watch: ProgressReporter = no_progress,
) -> dict[str, Any]:
    """Trains one on the rows that `nightjar mine` would write, and returns its manifest, which lies in *out* too.

    As every training it starts from the base and reads all judgments that count today; so no earlier cross-encoder
    cleans its rows. The dev questions, which nothing here was trained on, make its scores probabilities and say what
    reading the current version's first *rerank_k* hits is worth, without a limit of time; with too few of them neither
    is done. Only two numbers are fitted there, and no order by its scores alone depends on them.

    Raises:
        UsageError, NotFoundError: as of `check_free`.
        TooLittleDataError: nobody has named a right passage yet, or no row has a negative.
    """
    check_output_is_free(out, force=force)
    started = time.monotonic()
    mined = mine_night_rows(stores, replace(plan, teacher=None), MiningRequest(n_negatives=n_negatives), watch)
    examples = list(training_examples(mined.lines, mined.passages))
    if not examples:
        raise TooLittleDataError("no row has a negative, so there is nothing to tell apart: add documents")
    base = stores.registry.base()
    encoder = stores.open_encoder(base.encoder_id)
    training = replace(training, bf16=encoder.prefers_bf16([example.positive for example in examples]))
    with atomic_replace(out) as beside:
        steps = watch("train the cross-encoder", n_training_steps(len(examples), training))
        train_cross_encoder(base.folder, examples, beside, training, steps)
        seconds = time.monotonic() - started
        measured = _on_dev(stores, plan, beside, rerank_k, watch)
        manifest = {
            "kind": MANIFEST_KIND,
            "cross_encoder_id": CrossEncoder(beside).cross_encoder_id,
            "made_at": utc_now().isoformat(timespec="seconds"),
            "base": base.encoder_id,
            "negatives_by": stores.current().encoder_id,
            "n_rows": len(examples),
            "negatives": _by_source(mined.lines),
            "removed": dict(mined.removed),
            "training": asdict(training),
            "train_seconds": round(seconds, 1),
            "rerank_k": rerank_k,
            "calibration": asdict(measured[0]) if measured else None,
            "dev": measured[1].as_json() if measured else None,
        }
        (beside / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2), "utf-8")
    return manifest


def _on_dev(
    stores: Stores, plan: NightPlan, folder: Path, k: int, watch: ProgressReporter
) -> tuple[PlattScaling, RerankingComparison] | None:
    """Calibrates the cross-encoder in *folder* and measures it then; None with too few dev questions."""
    evidence = load_snapshot(
        stores, trusted=plan.trusted, max_per_person=plan.max_per_person, quarantined=plan.quarantined
    )
    dev = evidence.held_out("dev")
    if len(dev) < MIN_DEV_QUESTIONS:
        return None
    questions = {f"dev-{index}": question for index, question in enumerate(dev.questions)}
    qrels = {
        query_id: {evidence.passage_ids[row]: 1 for row in right}
        for query_id, right in zip(questions, dev.right, strict=True)
    }
    reader = CrossEncoder(folder, threads=stores.threads)
    served = stores.exact_retriever(stores.current().encoder_id).search
    read = rerank_served(
        questions, served, Reranker(reader=reader, k=k, budget_s=float("inf")), watch("read on dev", len(dev))
    )
    logits = log_odds(read.scores())
    line = fit_platt(logits, read.right(qrels))
    write_calibration(folder, line)
    return line, compare_reranking(read.with_scores(line.probabilities(logits)), qrels, RERANK_WEIGHT)


def _by_source(lines: Sequence[RowJson]) -> dict[str, int]:
    return dict(Counter(negative["source"] for line in lines for negative in line["negatives"]))


def _is_ours(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MANIFEST_NAME).read_text("utf-8"))["kind"] == MANIFEST_KIND)
    except (OSError, ValueError, KeyError, TypeError):
        return False
