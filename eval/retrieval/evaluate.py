"""How well a version retrieves: dense, lexical and fused, on all questions and on those seen and unseen in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.gate.decide import ServedScores
from eval.gate.embedding_checks import hub_share
from eval.statistics.ranking_metrics import MEASURES, Qrels, ValuesPerQuestion, measure_per_question, run_from_rankings
from eval.statistics.significance import mean_interval
from rag.arrays import FloatArray
from rag.retrieval.fusion import normalise_bm25, reciprocal_rank_fusion, top_fused, top_positions

Positions = NDArray[np.intp]
SIDES = ("dense", "lexical", "rrf", "fused")
"""The fused one is what is served."""

SCORES_AT_ONCE = 8_000_000  # questions × passages in one piece: 32 MB a matrix


class BatchLexicalSearch(Protocol):
    """BM25 over the candidates."""

    def score_matrix(self, questions: Sequence[str]) -> FloatArray:
        """`(n_questions, n_passages)` float32."""


@dataclass(frozen=True, slots=True)
class Rankings:
    """For every question the positions of its best passages, best first."""

    dense: list[Positions]
    lexical: list[Positions]
    """Only passages that share a word with the question (score above 0)."""
    rrf: list[Positions]
    """Both by their ranks alone, as other retrievers fuse them: `reciprocal_rank_fusion` with k = 60."""
    fused: list[Positions]


def rank_passages(
    queries: FloatArray,
    passage_vectors: FloatArray,
    lexical: FloatArray | None,
    weight: float,
    *,
    k: int = 100,
    candidates: int = 100,
) -> Rankings:
    """Ranks all passages for every question, by the same functions that serve (rag.retrieval.fusion).

    *queries* `(q, dim)` and *passage_vectors* `(n, dim)` have rows of unit length; *lexical* `(q, n)` holds raw BM25 scores,
    None means zeros. Memory beyond the arguments is bounded by SCORES_AT_ONCE.

    >>> eye = np.eye(3, dtype=np.float32)
    >>> result = rank_passages(eye[:1], eye, np.array([[0.0, 2.0, 4.0]], np.float32), weight=2.0, k=2)
    >>> result.dense[0].tolist(), result.lexical[0].tolist(), result.fused[0].tolist()
    ([0, 1], [2, 1], [2, 0])
    """
    found = Rankings([], [], [], [])
    for rows in question_batches(len(queries), len(passage_vectors)):
        cosines = queries[rows] @ passage_vectors.T
        words = np.zeros_like(cosines) if lexical is None else lexical[rows]
        for dense_row, lexical_row in zip(cosines, words, strict=True):
            normalised = normalise_bm25(lexical_row)
            by_words = top_positions(normalised, k)
            found.dense.append(top_positions(dense_row, k))
            found.lexical.append(by_words[normalised[by_words] > 0])
            found.rrf.append(by_ranks(found.dense[-1], found.lexical[-1])[:k])
            found.fused.append(top_fused(dense_row, normalised, weight, candidates, k))
    return found


def by_ranks(dense: Positions, lexical: Positions) -> Positions:
    """The positions of both rankings by reciprocal rank fusion, best first, equal ones by position.

    >>> by_ranks(np.array([4, 2]), np.array([2, 1])).tolist()
    [2, 4, 1]
    """
    scores = reciprocal_rank_fusion([dense.tolist(), lexical.tolist()])
    return np.array(sorted(scores, key=lambda position: (-scores[position], position)), np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalScores:
    """The scores of a version on every question, and the intervals of the means."""

    values: Mapping[str, ValuesPerQuestion]
    """side → measure → query_id → value."""
    unseen: NDArray[np.bool_]
    """`(n,)`: no right passage of the question was a positive of training."""
    hub_share: float
    """Of the fused rankings; see `eval.gate.embedding_checks.hub_share`."""
    found: Mapping[str, tuple[str, ...]]
    """query_id → the passages served, best first, 100 at most."""
    groups: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Further slices by name, each `(n,)`: golden questions by their origin."""

    @property
    def top_ten(self) -> dict[str, tuple[str, ...]]:
        """query_id → the passages served first."""
        return {query_id: ranking[:10] for query_id, ranking in self.found.items()}

    @property
    def measures(self) -> list[str]:
        """The measures, of which the first one decides."""
        return list(self.values["fused"])

    @property
    def query_ids(self) -> list[str]:
        """The questions, in the order of every array."""
        return list(self.values["fused"][MEASURES[0]])

    def array(self, side: str, measure: str) -> NDArray[np.float64]:
        """`(n,)`, one value a question."""
        return np.array(list(self.values[side][measure].values()), np.float64)

    def served(self) -> ServedScores:
        """The scores that the gate needs."""
        return ServedScores(self.array("fused", "nDCG@10"), self.array("fused", "R@10"), self.hub_share)

    def slices(self) -> dict[str, NDArray[np.bool_]]:
        """The masks of all, seen and unseen questions, and of the groups."""
        return {"all": np.ones_like(self.unseen), "seen": ~self.unseen, "unseen": self.unseen, **self.groups}

    def means(self, which: str = "all") -> dict[str, dict[str, float | None]]:
        """side → measure → mean over a slice; None if the slice is empty."""
        chosen = self.slices()[which]
        return {
            side: {
                name: _rounded(self.array(side, name)[chosen].mean()) if chosen.any() else None
                for name in self.measures
            }
            for side in SIDES
        }

    def intervals(self, which: str = "all") -> dict[str, dict[str, list[float] | None]]:
        """side → measure of MEASURES → [low, high] of the 95 % interval of the mean; None with fewer than two questions."""
        chosen = self.slices()[which]
        return {side: {name: _interval(self.array(side, name)[chosen]) for name in MEASURES} for side in SIDES}

    def as_json(self, dataset: str, split: str, version: str) -> dict[str, Any]:
        """What `nightjar eval retrieval --json` prints."""
        sizes = {name: int(mask.sum()) for name, mask in self.slices().items()}
        return {
            "dataset": dataset,
            "split": split,
            "n_questions": sizes["all"],
            "version": version,
            **self.means(),
            "slices": {name: {"n_questions": sizes[name], **self.means(name)} for name in sizes if name != "all"},
            "intervals": {name: self.intervals(name) for name in sizes},
        }


def evaluate_retrieval(
    questions: Mapping[str, str],
    qrels: Qrels,
    *,
    encode_queries: Callable[[list[str]], FloatArray],
    passage_ids: Sequence[str],
    passage_vectors: FloatArray,
    lexical: BatchLexicalSearch | None,
    weight: float,
    seen: Set[str] = frozenset(),
    candidates: int = 100,
    measures: Sequence[str] = MEASURES,
    groups: Mapping[str, Set[str]] | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> RetrievalScores:
    """Asks every question of *qrels* and measures what comes back; all of *passage_ids* are candidates.

    *questions* maps query ids to texts. *passage_vectors* `(n, dim)` and the columns of *lexical* are in the order of
    *passage_ids*. *seen* are the passages that were positives of training. *measures* are taken of rankings 100 deep.
    *groups* names sets of questions that are also reported separately. *progress* gets the number of questions just done.
    """
    found: dict[str, dict[str, list[str]]] = {side: {} for side in SIDES}
    query_ids = list(qrels)
    for rows in question_batches(len(query_ids), len(passage_ids)):
        some = query_ids[rows]
        texts = [questions[query_id] for query_id in some]
        words = lexical.score_matrix(texts) if lexical else None
        ranked = rank_passages(encode_queries(texts), passage_vectors, words, weight, candidates=candidates)
        for side in SIDES:
            named = ([passage_ids[position] for position in positions] for positions in getattr(ranked, side))
            found[side].update(zip(some, named, strict=True))
        progress(len(some))
    return RetrievalScores(
        values={side: measure_per_question(qrels, run_from_rankings(found[side]), measures) for side in SIDES},
        unseen=np.array([not _right(qrels[query_id]) & seen for query_id in query_ids], np.bool_),
        hub_share=hub_share(found["fused"].values(), qrels.values(), len(passage_ids)),
        found={query_id: tuple(ranking) for query_id, ranking in found["fused"].items()},
        groups={
            name: np.array([query_id in members for query_id in query_ids], np.bool_)
            for name, members in (groups or {}).items()
        },
    )


def _right(grades: Mapping[str, int]) -> set[str]:
    return {passage_id for passage_id, grade in grades.items() if grade > 0}


def question_batches(n_questions: int, n_passages: int) -> Iterator[slice]:
    """Slices of the questions, each small enough that its scores of all passages stay within SCORES_AT_ONCE."""
    size = max(1, SCORES_AT_ONCE // max(1, n_passages))
    for start in range(0, n_questions, size):
        yield slice(start, start + size)


def _interval(values: NDArray[np.float64]) -> list[float] | None:
    if len(values) < 2:
        return None
    interval = mean_interval(values)
    return [_rounded(interval.low), _rounded(interval.high)]


def _rounded(value: float) -> float:
    """Five decimals: beyond what any set of questions can tell, and the same on every machine."""
    return round(float(value), 5)
