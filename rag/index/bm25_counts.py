"""How often each term is in each of some passages: counted once by rank_bm25, then joined and cut as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.records import sha256_of
from rag.text.analyzers import bm25_terms, detect_language

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class SearchableText(Protocol):
    """A passage as BM25 reads it: `rag.records.Passage` has both fields."""

    @property
    def passage_id(self) -> str:
        """The passage's id."""

    @property
    def encoded_text(self) -> str:
        """Title, headings and text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermCounts:
    """Some passages, in an order of their own; the numbers of terms are those of a vocabulary next to it."""

    passage_ids: list[str]
    text_sha256s: list[str]
    languages: list[str]
    """By ISO 639-1; empty if a passage has no letters."""
    lengths: NDArray[np.int64]
    """Terms of each passage, `(n,)`."""
    counts: csr_array
    """`(n_terms, n)`, unsigned and as narrow as they fit; terms of the vocabulary that came later have no row."""

    @classmethod
    def of(cls, passages: Iterable[SearchableText], vocabulary: dict[str, int]) -> TermCounts:
        """Counts the terms of passages, which are read once and not kept; the vocabulary grows by what is new."""
        passage_ids: list[str] = []
        text_sha256s: list[str] = []
        languages: list[str] = []

        def numbered() -> Iterator[list[int]]:
            for passage in passages:
                text = passage.encoded_text
                passage_ids.append(passage.passage_id)
                text_sha256s.append(sha256_of(text))
                languages.append(detect_language(text))
                yield [vocabulary.setdefault(term, len(vocabulary)) for term in bm25_terms(text, languages[-1])]

        bm25 = _count(numbered())
        n_passages = len(passage_ids)
        lengths = np.array(bm25.doc_len if bm25 else [0] * n_passages, np.int64)
        counts = _matrix(bm25.doc_freqs if bm25 else [{}] * n_passages, len(vocabulary))
        return cls(
            passage_ids=passage_ids, text_sha256s=text_sha256s, languages=languages, lengths=lengths, counts=counts
        )

    def without(self, passage_ids: set[str]) -> TermCounts:
        """Returns the block without some passages; the block itself if it has none of them."""
        kept = np.array([passage_id not in passage_ids for passage_id in self.passage_ids], bool)
        if kept.all():
            return self
        rows = np.flatnonzero(kept)
        return TermCounts(
            passage_ids=[self.passage_ids[row] for row in rows],
            text_sha256s=[self.text_sha256s[row] for row in rows],
            languages=[self.languages[row] for row in rows],
            lengths=self.lengths[rows],
            counts=with_int32_indices(self.counts[:, rows]),
        )

    def concatenated(self, other: TermCounts) -> TermCounts:
        """The passages of both, the other's last; its vocabulary is this one's, or has grown out of it."""
        from scipy.sparse import hstack

        n_terms = other.counts.shape[0]
        return TermCounts(
            passage_ids=self.passage_ids + other.passage_ids,
            text_sha256s=self.text_sha256s + other.text_sha256s,
            languages=self.languages + other.languages,
            lengths=np.concatenate([self.lengths, other.lengths]),
            counts=with_int32_indices(hstack([_with_rows(self.counts, n_terms), other.counts], format="csr")),
        )

    def pruned(self, vocabulary: Mapping[str, int]) -> tuple[TermCounts, dict[str, int]]:
        """Without the terms that no passage has any more, and the vocabulary of the others."""
        used = np.diff(self.counts.indptr) > 0
        left = {
            term: row
            for row, term in enumerate(term for term, row in vocabulary.items() if row < len(used) and used[row])
        }
        return replace(self, counts=self.counts[np.flatnonzero(used)]), left


def with_int32_indices(matrix: Any) -> csr_array:
    """Returns the matrix with indices of 32 bits if they suffice, because a long text is scored in a fifth less
    time.
    """
    from scipy.sparse import csr_array

    if matrix.nnz >= 2**31:
        return csr_array(matrix)
    places = (matrix.indices.astype(np.int32, copy=False), matrix.indptr.astype(np.int32, copy=False))
    return csr_array((matrix.data, *places), shape=matrix.shape)


def _with_rows(counts: csr_array, n_terms: int) -> csr_array:
    """Returns the counts with empty rows for terms that were added later."""
    from scipy.sparse import csr_array

    indptr = np.pad(counts.indptr, (0, n_terms - counts.shape[0]), mode="edge")
    return csr_array((counts.data, counts.indices, indptr), shape=(n_terms, counts.shape[1]))


def _matrix(doc_freqs: Sequence[dict[int, int]], n_terms: int) -> csr_array:
    """`(n_terms, n)`; each passage's own counts are freed on the way."""
    from scipy.sparse import csr_array

    sizes = np.fromiter((len(counts) for counts in doc_freqs), np.int64, len(doc_freqs))
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    found = np.empty(indptr[-1], np.int32)
    times = np.empty(indptr[-1], np.int64)
    for number, counts in enumerate(doc_freqs):
        some = slice(indptr[number], indptr[number + 1])
        found[some], times[some] = list(counts), list(counts.values())
        counts.clear()
    times = times.astype(np.min_scalar_type(times.max(initial=0)))
    return with_int32_indices(csr_array((times, found, indptr), shape=(len(sizes), n_terms)).T.tocsr())


def _count(passages: Iterator[list[int]]) -> Any:
    """rank_bm25's statistics; None if no passage has a term."""
    from rank_bm25 import BM25Okapi

    try:
        return BM25Okapi(passages)
    except ZeroDivisionError:  # its means over nothing
        return None
