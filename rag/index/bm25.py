"""BM25 over the passages: rank_bm25's scores for every word and passage, kept up to date passage by passage."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.index.bm25_counts import SearchableText, TermCounts
from rag.index.bm25_files import load_counts, save_counts
from rag.text.analyzers import bm25_terms, detect_question_language

log = logging.getLogger(__name__)

K1, B, EPSILON = 1.5, 0.75, 0.25  # rank_bm25's defaults
MAX_TAIL_SHARE = 1 / 8  # of the passages may be in the tail: joining it at every change costs less than the whole then


@dataclass(frozen=True, slots=True)
class _Text:
    passage_id: str
    encoded_text: str


class Bm25Index:
    """BM25Okapi's scores, so that scoring a question is a sparse sum. Immutable: a change makes a new one.

    What came first is one block, what came since another, the tail: it is counted and joined alone, while document
    frequencies and the mean length are those of both together. A passage that goes is cut out of its block at once.
    """

    def __init__(self, passage_ids: list[str], vocabulary: dict[str, int], blocks: Sequence[TermCounts]) -> None:
        from scipy.sparse import csr_array

        self.passage_ids = passage_ids
        self._vocabulary = vocabulary
        self._blocks = tuple(blocks)
        self._languages = Counter(language for block in blocks for language in block.languages if language)
        if len(self._languages) > 1:
            detect_question_language(
                "", self._languages
            )  # reads the model that tells languages now, not at somebody's question
        self._idf = _idf(blocks, len(vocabulary))
        mean = sum(int(block.lengths.sum()) for block in blocks) / max(1, len(passage_ids)) or 1.0
        self._weights = tuple(  # of the terms in the passages, before idf: `(n_terms, n)` float64
            csr_array((_saturated(block, mean), block.counts.indices, block.counts.indptr), shape=block.counts.shape)
            for block in blocks
        )
        place = {passage_id: number for number, passage_id in enumerate(passage_ids)}
        self._places = tuple(
            np.fromiter((place[passage_id] for passage_id in block.passage_ids), np.intp, len(block.passage_ids))
            for block in blocks
        )

    @classmethod
    def build(cls, passage_ids: Sequence[str], texts: Iterable[str]) -> Bm25Index:
        """Counts the words of the texts, which are read once and not kept, and compiles the scores."""
        vocabulary: dict[str, int] = {}
        pairs = zip(texts, passage_ids, strict=True)  # texts first: reading them may be what fills the ids
        block = TermCounts.of((_Text(passage_id, text) for text, passage_id in pairs), vocabulary)
        return cls(list(passage_ids), vocabulary, [block])

    @classmethod
    def open(
        cls,
        folder: Path,
        passage_ids: Mapping[str, str],
        load_texts: Callable[[Sequence[str]], Iterable[SearchableText]],
        before: Bm25Index | None = None,
    ) -> Bm25Index:
        """Brings *before*, or else what was saved, up to date with the library, and saves what changed.

        *passage_ids* and *load_texts* as of `updated`.
        """
        known = before or cls.load(folder, list(passage_ids))
        current = (known or cls.build([], [])).updated(passage_ids, load_texts)
        if current is known:
            return current
        try:
            current.save(folder, anew=known is None)
        except OSError as error:
            log.warning(
                "BM25's counts for %d passages can't be saved in %s (%s): counted anew at every start",
                len(current.passage_ids),
                folder,
                error,
            )
        return current

    # ---- changing

    def updated(
        self, passage_ids: Mapping[str, str], load_texts: Callable[[Sequence[str]], Iterable[SearchableText]]
    ) -> Bm25Index:
        """The same scores as if built again over the passages wanted, of which only new and changed texts are read.

        *passage_ids*: passage id → sha256 of the encoded text, in the order that `passage_ids` is to have. *load_texts* gets
        the ids of new and changed passages; those that it does not give are left out. Itself if nothing changed.
        """
        known = {
            passage_id: sha256
            for block in self._blocks
            for passage_id, sha256 in zip(block.passage_ids, block.text_sha256s, strict=True)
        }
        new = [passage_id for passage_id, sha256 in passage_ids.items() if known.get(passage_id) != sha256]
        gone = {passage_id for passage_id, sha256 in known.items() if passage_ids.get(passage_id) != sha256}
        if not new and not gone and list(passage_ids) == self.passage_ids:
            return self
        vocabulary = dict(self._vocabulary)  # a copy: who still asks the old one knows its own terms only
        fresh = TermCounts.of(load_texts(new), vocabulary) if new else None
        blocks, vocabulary = _arranged(self._blocks, gone, fresh, vocabulary)
        there = {passage_id for block in blocks for passage_id in block.passage_ids}
        return Bm25Index([passage_id for passage_id in passage_ids if passage_id in there], vocabulary, blocks)

    # ---- asking

    def scores(self, question: str) -> NDArray[np.float64]:
        """BM25 of every passage for a question, `(n_passages,)` float64, in the order of `passage_ids`.

        Equal to `rank_bm25.BM25Okapi.get_scores` on the question's terms to 1e-9: a word that the question repeats
        counts as often; words in more than half of the passages get rank_bm25's floor.
        All zeros if no word is known.
        """
        times = Counter(self._vocabulary[term] for term in self.query_terms(question) if term in self._vocabulary)
        rows = np.fromiter(times, np.intp, len(times))
        weights = self._idf[rows] * np.fromiter(times.values(), np.float64, len(times))
        found = np.zeros(len(self.passage_ids))
        for matrix, places in zip(self._weights, self._places, strict=True):
            known = rows < matrix.shape[0]
            if known.any():
                found[places] = matrix[rows[known]].T @ weights[known]
        return found

    def query_terms(self, question: str) -> list[str]:
        """Returns the terms of a question, in the language of the library that it seems to be in."""
        return bm25_terms(question, detect_question_language(question, self._languages))

    def score_matrix(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """`scores` of many questions, `(n_questions, n_passages)` float32."""
        found = np.zeros((len(questions), len(self.passage_ids)), np.float32)
        for row, question in enumerate(questions):
            found[row] = self.scores(question)
        return found

    # ---- keeping

    def save(self, folder: Path, *, anew: bool = True) -> None:
        """Readers see all of the old or all of the new; unless *again*, a block that is there is not written again."""
        save_counts(folder, self._blocks, list(self._vocabulary), rewrite_all=anew)

    @classmethod
    def load(cls, folder: Path, order: Sequence[str] = ()) -> Bm25Index | None:
        """Returns the index that was saved with the same analyzers; None if there is none, or if its files have
        changed since.

        In *order* if that names the same passages, else block by block.
        """
        found = load_counts(folder)
        if found is None:
            return None
        blocks, words = found
        passage_ids = [passage_id for block in blocks for passage_id in block.passage_ids]
        if set(order) == set(passage_ids):
            passage_ids = list(order)
        return cls(passage_ids, {term: row for row, term in enumerate(words)}, blocks)


def _arranged(
    blocks: Sequence[TermCounts], gone: set[str], fresh: TermCounts | None, vocabulary: dict[str, int]
) -> tuple[list[TermCounts], dict[str, int]]:
    """The blocks after a change: a large one and a tail, or one alone, rid of the terms that nobody has any more."""
    kept = [block.without(gone) for block in blocks]
    large, *rest = [*kept, fresh] if fresh else kept
    tail = reduce(TermCounts.concatenated, rest) if rest else None
    is_cut = any(after is not before for after, before in zip(kept, blocks, strict=True))
    if tail and not is_cut and len(tail.passage_ids) <= MAX_TAIL_SHARE * len(large.passage_ids):
        return [large, tail], vocabulary
    whole, left = (large.concatenated(tail) if tail else large).pruned(vocabulary)
    return [whole], left


def _idf(blocks: Sequence[TermCounts], n_terms: int) -> NDArray[np.float64]:
    """rank_bm25's inverse document frequency of every term, `(n_terms,)`, over all blocks; 0 if nobody has the term.

    ln(n - df + ½) - ln(df + ½); in place of what is below 0, a quarter of the mean over the terms (its epsilon).
    """
    frequencies = np.zeros(n_terms, np.int64)
    for block in blocks:
        frequencies[: block.counts.shape[0]] += np.diff(block.counts.indptr)
    n_passages = sum(len(block.passage_ids) for block in blocks)
    used = frequencies > 0
    idf = np.zeros(n_terms)
    idf[used] = np.log(n_passages - frequencies[used] + 0.5) - np.log(frequencies[used] + 0.5)
    if used.any():
        idf[idf < 0] = EPSILON * idf[used].mean()
    return idf


def _saturated(block: TermCounts, mean_length: float) -> NDArray[np.float64]:
    """f · (k1 + 1) / (f + k1 · (1 - b + b · |d| / mean |d|)) for every count f, in their order.

    Trotman, Puurula and Burgess, ADCS 2014.
    """
    norm = K1 * (1 - B + B * block.lengths / mean_length)
    weights: NDArray[np.float64] = norm[block.counts.indices]
    weights += block.counts.data
    np.divide(block.counts.data * (K1 + 1), weights, out=weights)
    return weights
