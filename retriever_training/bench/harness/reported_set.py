"""A BEIR folder that only reports: its passages and the questions of one split, as the base sees them. Nothing trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.datasets.beir import BeirDataset, Grades
from eval.retrieval.evaluate import evaluate_retrieval
from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder
from rag.index.bm25 import Bm25Index
from retriever_training.bench.harness.disk_cache import cached_vectors
from retriever_training.progress import ProgressReporter

NdcgValues = Mapping[str, Mapping[str, float]]
"""side, "dense" or "served" → query id → nDCG@10."""

SCORE_NAMES: Mapping[str, str] = {"dense": "dense", "served": "fused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSet:
    """Questions that nobody learns from, and all passages they may find."""

    name: str
    sha256: str
    passage_ids: tuple[str, ...]
    texts: tuple[str, ...]
    """What encoders read."""
    lexical: Bm25Index
    questions: Mapping[str, str]
    """query id → text."""
    qrels: Mapping[str, Grades]
    """query id → passage id → grade."""
    passages: FloatArray
    """`(n, dim)`, by the base."""
    asked: FloatArray
    """`(q, dim)`, by the base, in the order of *questions*."""

    @classmethod
    def open(
        cls, dataset: BeirDataset, split: str, base: Encoder, folder: Path, watch: ProgressReporter
    ) -> ReportedSet:
        """Encodes the set by the base, or reads the vectors that *folder* keeps from an earlier run.

        Raises:
            NotFoundError: the data set has no such split.
            TooLittleDataError: no question of the split has a right passage.
        """
        qrels = dataset.split(split)
        questions = {query_id: dataset.queries[query_id] for query_id in qrels}
        ids, texts = [], []
        for passage_id, title, text in dataset.corpus():
            ids.append(passage_id)
            texts.append("\n".join(part for part in (title, text) if part))
        advance = watch(f"encode {dataset.name}", len(texts))
        passages = cached_vectors(folder, base.passage_side, texts, lambda some: base.encode_passages(some, advance))
        asked = cached_vectors(folder, base.encoder_id, list(questions.values()), base.encode_queries)
        return cls(
            name=dataset.name,
            sha256=dataset.sha256,
            passage_ids=tuple(ids),
            texts=tuple(texts),
            lexical=Bm25Index.build(ids, texts),
            questions=questions,
            qrels=qrels,
            passages=passages,
            asked=asked,
        )

    def values(self, query_vectors: FloatArray, passage_vectors: FloatArray, weight: float) -> NdcgValues:
        """nDCG@10 of every question by a version that sees questions and passages like this; *weight* is BM25's."""
        place = {text: row for row, text in enumerate(self.questions.values())}
        scores = evaluate_retrieval(
            self.questions,
            self.qrels,
            encode_queries=lambda texts: query_vectors[[place[text] for text in texts]],
            passage_ids=self.passage_ids,
            passage_vectors=passage_vectors,
            lexical=self.lexical,
            weight=weight,
        )
        return {name: scores.values[side]["nDCG@10"] for name, side in SCORE_NAMES.items()}
