"""The features that rules look at: candidates as columns, and what is known about questions and passages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.arrays import BoolArray, FloatArray, IntArray
from rag.text.distinguishing_terms import differ_in_named_terms, distinguishing_terms, lowercase_words, words_with_case
from rag.text.shingles import ShingleIndex, normalise_words
from retriever_training.negatives.candidates.records import MiningContext, VersionView

SAME_QUESTION_COSINE = 0.9
"""The cosine, by the first view, from which two questions ask nearly the same."""
ROWS_PER_BLOCK = 128  # × 100,000 passages: 50 MB


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """What is known about the questions apart from their positives; unknown fields are empty."""

    answers: Sequence[Sequence[str]] = ()
    """The answers to each question, as text."""
    suspected: Sequence[frozenset[int]] = ()
    """For each question the passages that somebody called helpful for it, although the votes settled otherwise."""
    reviewed: Sequence[frozenset[int]] = ()
    """For each question the passages that a review decided are not its negatives."""


NO_KNOWN_LABELS = KnownLabels()


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """Candidates as two columns: rows of questions and rows of passages."""

    questions: IntArray
    """`(m,)`"""
    passages: IntArray
    """`(m,)`"""

    def __len__(self) -> int:
        return len(self.questions)

    def __add__(self, others: CandidatePairs) -> CandidatePairs:
        return CandidatePairs(
            np.concatenate([self.questions, others.questions]), np.concatenate([self.passages, others.passages])
        )

    def at(self, selected: NDArray[Any]) -> CandidatePairs:
        """Returns the pairs selected by index or by mask."""
        return CandidatePairs(self.questions[selected], self.passages[selected])


@dataclass(frozen=True)
class PairFeatures:
    """A mining context, the versions whose margins count, and the features that rules compute once and use often.

    Use one for all sources, so that a passage's words are read once.
    """

    mine: MiningContext
    views: Sequence[VersionView]
    texts: Sequence[str]
    """The passages' texts, in the order of *mine*."""
    known: KnownLabels = NO_KNOWN_LABELS
    _plain: dict[int, str] = field(default_factory=dict, init=False, repr=False)
    _texts: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _questions: dict[int, tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict, init=False, repr=False)
    _distinguished: dict[tuple[int, int], bool] = field(default_factory=dict, init=False, repr=False)

    def plain(self, passage: int) -> str:
        """The passage's normalised words."""
        words = self._plain.get(passage)
        if words is None:
            words = self._plain[passage] = normalise_words(self.texts[passage])
        return words

    def text_numbers(self, passages: IntArray) -> IntArray:
        """Returns `(m,)`: the same number for passages with the same plain words."""
        rows, places = np.unique(passages, return_inverse=True)
        numbers = (self._texts.setdefault(self.plain(row), len(self._texts)) for row in rows.tolist())
        return np.fromiter(numbers, np.int64, len(rows))[places]

    @cached_property
    def shingled(self) -> ShingleIndex:
        """The passages' shingles."""
        return ShingleIndex(self.plain)

    def differ_in_named_terms(self, passages: IntArray, positives: IntArray) -> BoolArray:
        """Returns `(m,)`: which passages differ from the positive next to them in names or numbers."""
        differences = map(self._are_distinguished, passages.tolist(), positives.tolist())
        return np.fromiter(differences, np.bool_, len(passages))

    def _are_distinguished(self, passage: int, positive: int) -> bool:
        pair = (passage, positive) if passage < positive else (positive, passage)
        distinguished = self._distinguished.get(pair)
        if distinguished is None:
            first, second = (words_with_case(self.texts[row]) for row in pair)
            distinguished = differ_in_named_terms(first, second) and differ_in_named_terms(
                first, second, self._plain_words
            )
            self._distinguished[pair] = distinguished
        return distinguished

    @cached_property
    def _plain_words(self) -> frozenset[str]:
        """The lower-case words of the whole library, read only if a capital letter may be all that distinguishes two
        passages.
        """
        return lowercase_words(self.texts)

    def keys(self, pairs: CandidatePairs) -> IntArray:
        """Returns one number per pair, for looking it up."""
        return pairs.questions * len(self.mine.passage_ids) + pairs.passages

    def keys_by_question(self, passages_of_questions: Iterable[Iterable[int]]) -> IntArray:
        """Returns the keys of passages that are listed by question."""
        width = len(self.mine.passage_ids)
        return np.fromiter(
            (row * width + passage for row, passages in enumerate(passages_of_questions) for passage in passages),
            np.int64,
        )

    @cached_property
    def positives(self) -> IntArray:
        """The keys of the known right pairs."""
        return self.keys_by_question(self.mine.positives)

    @cached_property
    def suspected(self) -> IntArray:
        """The keys of `KnownLabels.suspected`."""
        return self.keys_by_question(self.known.suspected)

    @cached_property
    def reviewed(self) -> IntArray:
        """The keys of `KnownLabels.reviewed`."""
        return self.keys_by_question(self.known.reviewed)

    def pair_with_positives(self, pairs: CandidatePairs) -> tuple[IntArray, IntArray]:
        """Returns every pair with each of its question's positives: indexes of pairs and rows of positives, `(p,)` each."""
        counts = self._n_positives[pairs.questions]
        places = np.repeat(np.arange(len(pairs)), counts)
        first = np.cumsum(counts) - counts
        offsets = np.arange(len(places)) - first[places]
        starts = np.cumsum(self._n_positives) - self._n_positives
        return places, self._positives[starts[pairs.questions[places]] + offsets]

    def matches_any_positive(
        self, pairs: CandidatePairs, alike: Callable[[IntArray, IntArray], BoolArray]
    ) -> BoolArray:
        """Returns `(m,)`: whether *alike*, which takes passages and positives, holds for any positive of the pair's question."""
        places, positives = self.pair_with_positives(pairs)
        found = np.zeros(len(pairs), np.bool_)
        found[places[alike(pairs.passages[places], positives)]] = True
        return found

    @cached_property
    def near_question_keys(self) -> IntArray:
        """The keys of passages that are right for another question that asks nearly the same.

        Their cosine is at least SAME_QUESTION_COSINE, and it is not so that each names something that the other does not:
        how heavy the X200 is says nothing about the X100.
        """
        vectors, found = self.views[0].question_vectors, []
        for start in range(0, len(self.mine), ROWS_PER_BLOCK):
            cosines = vectors[start : start + ROWS_PER_BLOCK] @ vectors.T
            ones, others = np.nonzero(cosines >= SAME_QUESTION_COSINE)
            pairs = zip((ones + start).tolist(), others.tolist(), strict=True)
            same = [pair for pair in pairs if pair[0] != pair[1] and not self._name_different_things(*pair)]
            found.append(self._right_there(*np.array(same, np.int64).reshape(-1, 2).T))
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def _name_different_things(self, question: int, other: int) -> bool:
        (ours, our_words), (theirs, their_words) = self._named_by(question), self._named_by(other)
        return not ours <= their_words and not theirs <= our_words

    def _named_by(self, question: int) -> tuple[frozenset[str], frozenset[str]]:
        """The names and numbers in a question, and all its words."""
        if question not in self._questions:
            words = words_with_case(self.mine.questions[question])
            self._questions[question] = (
                distinguishing_terms(words, self._plain_words),
                frozenset(map(str.casefold, words)),
            )
        return self._questions[question]

    def _right_there(self, questions: NDArray[Any], others: NDArray[Any]) -> IntArray:
        places, positives = self.pair_with_positives(CandidatePairs(others, others))
        return self.keys(CandidatePairs(questions[places], positives))

    @cached_property
    def _n_positives(self) -> IntArray:
        return np.fromiter((len(positives) for positives in self.mine.positives), np.int64, len(self.mine))

    @cached_property
    def _positives(self) -> IntArray:
        """The rows of all positives, question after question."""
        return np.fromiter((row for positives in self.mine.positives for row in sorted(positives)), np.int64)

    @cached_property
    def positive_pairs(self) -> CandidatePairs:
        """Every question with each of its positives, `(p,)`."""
        return CandidatePairs(np.repeat(np.arange(len(self.mine)), self._n_positives), self._positives)

    def lowest_per_question(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns `(q,)`: the lowest score of each question's positives, infinite without one.

        *scores* are those of `positive_pairs`.
        """
        lowest = np.full(len(self.mine), np.inf)
        np.minimum.at(lowest, self.positive_pairs.questions, scores)
        return lowest

    def normalised_bm25(self, pairs: CandidatePairs) -> NDArray[np.float64]:
        """Returns `(m,)`: BM25 of the passage for the question, divided by the question's best."""
        questions, lexical = self.mine.questions, self.mine.lexical
        return gather_normalised(
            lambda rows: lexical.score_matrix([questions[row] for row in rows]), pairs.questions, pairs.passages
        )


def gather_normalised(
    scores_of: Callable[[Sequence[int]], FloatArray], rows: IntArray, columns: IntArray
) -> NDArray[np.float64]:
    """Returns `(m,)`: chosen elements of a matrix, each divided by the largest of its row; 0 in rows with none above 0.

    *scores_of* returns given rows of the matrix, so that the whole of it is never in memory.

    >>> scores = np.array([[4.0, 1.0], [0.0, 0.0]])
    >>> gather_normalised(lambda rows: scores[rows], np.array([1, 0, 0]), np.array([0, 1, 0])).tolist()
    [0.0, 0.25, 1.0]
    """
    found = np.zeros(len(rows))
    wanted, places = np.unique(rows, return_inverse=True)
    order = np.argsort(places, kind="stable")
    for start in range(0, len(wanted), ROWS_PER_BLOCK):
        matrix = scores_of(wanted[start : start + ROWS_PER_BLOCK].tolist())
        largest = matrix.max(axis=1)
        first, end = np.searchsorted(places, [start, start + len(matrix)], sorter=order)
        some = order[first:end]
        some = some[largest[places[some] - start] > 0]
        lines = places[some] - start
        found[some] = matrix[lines, columns[some]] / largest[lines]
    return found
