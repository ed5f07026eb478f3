"""Measures a reranker: the same hits as served and as reranked, question by question, and the time that reading took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.statistics.ranking_metrics import MEASURES, Qrels, ValuesPerQuestion, measure_per_question, run_from_rankings
from eval.statistics.significance import PairedComparison, compare_paired
from rag.records import Hit
from rag.retrieval.reranker import Reranker, reorder_by_rerank_score


@dataclass(frozen=True, slots=True)
class RerankedQuestions:
    """The scores of a cross-encoder for the hits of some questions."""

    hits: Mapping[str, Sequence[Hit]]
    """query_id → the hits in the order served, with `rerank`."""
    ms: float
    """Median time that one question took, in milliseconds."""
    n_cut: int = 0
    """Questions whose time ran out before all hits were read."""

    def scores(self) -> NDArray[np.float64]:
        """`(n,)`: the score of every hit that was read, question after question."""
        return np.array([hit.rerank for hits in self.hits.values() for hit in hits if hit.rerank is not None])

    def right(self, qrels: Qrels) -> NDArray[np.bool_]:
        """`(n,)`: whether each hit of `scores` is right."""
        return np.array(
            [
                qrels[query_id].get(hit.passage.passage_id, 0) > 0
                for query_id, hits in self.hits.items()
                for hit in hits
                if hit.rerank is not None
            ],
            np.bool_,
        )

    def with_scores(self, scores: NDArray[np.float64]) -> RerankedQuestions:
        """Returns the same reading with other scores, in the order of `scores`."""
        given = iter(scores.tolist())
        hits = {
            query_id: [hit if hit.rerank is None else replace(hit, rerank=next(given)) for hit in hits]
            for query_id, hits in self.hits.items()
        }
        return replace(self, hits=hits)


@dataclass(frozen=True, slots=True)
class RerankingComparison:
    """Two orders of the same hits."""

    served: ValuesPerQuestion
    reranked: ValuesPerQuestion
    ms: float
    """As in `RerankedQuestions`."""

    def compared(self, measure: str = MEASURES[0]) -> PairedComparison:
        """The reranked order against the served one.

        Raises:
            TooLittleDataError: fewer than two questions.
        """
        return compare_paired(list(self.served[measure].values()), list(self.reranked[measure].values()))

    def as_json(self) -> dict[str, Any]:
        """Means of both orders, the paired difference of the first measure, and the time per question."""
        compared = self.compared()
        return {
            "n_questions": compared.n,
            "served": _means(self.served),
            "reranked": _means(self.reranked),
            "difference": round(compared.difference, 5),
            "interval": [round(compared.low, 5), round(compared.high, 5)],
            "p": round(compared.p, 5),
            "wins": compared.wins,
            "losses": compared.losses,
            "ms_per_question": round(self.ms, 1),
        }


def rerank_served(
    questions: Mapping[str, str],
    served: Callable[[str, int], list[Hit]],
    reranker: Reranker,
    progress: Callable[[int], None] = lambda n: None,
) -> RerankedQuestions:
    """Has the first hits of every question read; *served* gives its best k without the reranker.

    *questions* maps query ids to texts.
    """
    read: dict[str, list[Hit]] = {}
    seconds, n_cut = [], 0
    reranker.reader.load()
    for query_id, question in questions.items():
        hits = served(question, max(reranker.k, 10))
        start = time.perf_counter()
        reranked = reranker.rerank(question, hits)
        seconds.append(time.perf_counter() - start)
        n_cut += reranked.is_cut
        said = {hit.passage.passage_id: hit.rerank for hit in reranked.hits}
        read[query_id] = [replace(hit, rerank=said[hit.passage.passage_id]) for hit in hits]
        progress(1)
    return RerankedQuestions(read, 1000 * float(np.median(seconds)) if seconds else 0.0, n_cut)


def compare_reranking(read: RerankedQuestions, qrels: Qrels, weight: float) -> RerankingComparison:
    """Measures the served order, and the order in which the rerank score has this *weight*; hits are named by `passage_id`."""
    orders = (read.hits, {query_id: reorder_by_rerank_score(hits, weight) for query_id, hits in read.hits.items()})
    rankings = (
        {query_id: [hit.passage.passage_id for hit in hits] for query_id, hits in order.items()} for order in orders
    )
    served, reranked = (measure_per_question(qrels, run_from_rankings(ranking)) for ranking in rankings)
    return RerankingComparison(served, reranked, read.ms)


def _means(values: ValuesPerQuestion) -> dict[str, float]:
    return {name: round(float(np.mean(list(values[name].values()))), 5) for name in MEASURES}
