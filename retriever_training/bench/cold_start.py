"""Whether a library's own questions help tier 1: alone, and next to those that people judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.retrieval.evaluate import RetrievalScores, evaluate_retrieval
from eval.statistics.significance import PairedComparison, compare_paired
from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder
from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.cold_start.pseudo_questions import PSEUDO_QUESTION_SOURCES
from retriever_training.cold_start.pseudo_rows import PseudoQuestionSet, build_pseudo_question_set, concatenate_rows
from retriever_training.judgments.snapshot import JudgedQuestions, best_supported
from retriever_training.losses.full_softmax import SoftmaxRows
from retriever_training.tiers.learn_cold_start import fit_half_map
from retriever_training.tiers.query_side_data import LEXICAL_SHARE, query_side_rows
from retriever_training.tiers.tier1_adapter import apply_map

Qrels = Mapping[str, Mapping[str, int]]

ALL_SOURCES = "all of them"


@dataclass(frozen=True, kw_only=True)
class ColdStartBench:
    """A library by the base, and labelled questions to learn from and to measure on."""

    passages: Sequence[Passage]
    vectors: FloatArray
    """`(n, dim)`, unit rows, in the order of *passages*."""
    lexical: Bm25Index
    """Likewise."""
    encoder: Encoder
    lexical_weight: float
    questions: Mapping[str, str]
    train: Qrels
    """query id → passage id → grade: what people's judgments are drawn from."""
    measured: Qrels
    """Likewise; measured on."""
    weight: float
    """Of a question of the library next to one that people judged."""
    seed: int

    def lines(self, judged: Sequence[int], progress: Callable[[int], None] = lambda n: None) -> Iterator[SourceGain]:
        """A line for each source, and for all of them, next to each of these numbers of judged questions."""
        cold = build_pseudo_question_set(
            self.passages,
            self.encoder,
            passage_vectors=self.vectors,
            lexical_weight=self.lexical_weight,
            weight=self.weight,
            seed=self.seed,
        )
        asked = self.encoder.encode_queries([self.questions[query_id] for query_id in self.measured])
        for n in judged:
            people = self._people(n)
            before = self._scores(asked, people, None)
            for source in (*PSEUDO_QUESTION_SOURCES, ALL_SOURCES):
                own = cold if source == ALL_SOURCES else questions_of_source(cold, source)
                if len(own.asked):
                    yield SourceGain.of(source, n, len(own.asked), before, self._scores(asked, people, own))
                progress(1)

    def _people(self, n: int) -> JudgedQuestions:
        """*n* labelled questions, drawn by the seed, as if somebody had pinned every right passage."""
        row = {passage.passage_id: index for index, passage in enumerate(self.passages)}
        query_ids = sorted(self.train)
        drawn = [query_ids[index] for index in np.random.default_rng(self.seed).permutation(len(query_ids))[:n]]
        right = tuple(
            {row[passage_id]: 1.0 for passage_id, grade in self.train[name].items() if grade > 0} for name in drawn
        )
        return JudgedQuestions(
            questions=tuple(self.questions[name] for name in drawn), right=right, rejected=((),) * len(drawn)
        )

    def _scores(self, asked: FloatArray, people: JudgedQuestions, cold: PseudoQuestionSet | None) -> RetrievalScores:
        """Returns the served scores after learning from both kinds of questions; from none, those of the base."""
        rows = self._rows(people, cold)
        if rows is not None:
            asked = apply_map(fit_half_map(rows, self.seed), asked)
        vector = dict(zip((self.questions[query_id] for query_id in self.measured), asked, strict=True))
        right = [*people.right, *(cold.asked.right if cold else ())]
        return evaluate_retrieval(
            self.questions,
            self.measured,
            encode_queries=lambda texts: np.stack([vector[text] for text in texts]),
            passage_ids=[passage.passage_id for passage in self.passages],
            passage_vectors=self.vectors,
            lexical=self.lexical,
            weight=self.lexical_weight,
            seen={self.passages[row].passage_id for rows in right for row in best_supported(rows)},
        )

    def _rows(self, people: JudgedQuestions, cold: PseudoQuestionSet | None) -> SoftmaxRows | None:
        parts = []
        weight = LEXICAL_SHARE * self.lexical_weight
        if len(people):
            asked = self.encoder.encode_queries(people.questions)
            parts.append(
                query_side_rows(
                    people, asked, passages=self.vectors, seed=self.seed, lexical=self.lexical, weight=weight
                )
            )
        if cold:
            asked, left = cold.question_vectors, cold.passage_vectors
            parts.append(
                query_side_rows(cold.asked, asked, passages=left, seed=self.seed, lexical=cold.lexical, weight=weight)
            )
        return concatenate_rows(*parts) if len(parts) == 2 else next(iter(parts), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGain:
    """What one source is worth next to this many judged questions."""

    source: str
    n_judged: int
    n_cold: int
    """Consistent questions of the source."""
    served: PairedComparison
    """nDCG@10 without the source and with it."""
    seen: float | None
    """The difference on questions with a right passage that was a positive; None if there are none."""
    unseen: float | None
    """On the others."""

    @classmethod
    def of(cls, source: str, n_judged: int, n_cold: int, before: RetrievalScores, after: RetrievalScores) -> SourceGain:
        """From the scores without and with the source."""
        without, with_it = before.array("fused", "nDCG@10"), after.array("fused", "nDCG@10")
        seen, unseen = (_mean((with_it - without)[mask]) for mask in (~after.unseen, after.unseen))
        return cls(
            source=source,
            n_judged=n_judged,
            n_cold=n_cold,
            served=compare_paired(without, with_it),
            seen=seen,
            unseen=unseen,
        )


def questions_of_source(cold: PseudoQuestionSet, source: str) -> PseudoQuestionSet:
    """The questions of one source; the passages still lack what the others took."""
    return cold.only([index for index, drawn_from in enumerate(cold.sources) if drawn_from == source])


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None
