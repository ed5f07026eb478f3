"""A question → hits: dense and lexical candidates, fused by the version's own weight, and reranked if that is on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.arrays import BoolArray, FloatArray
from rag.database.sql_batches import batched
from rag.embedding.embedding_cache import EmbeddingCache
from rag.embedding.passage_vectors import PassageVectors
from rag.embedding.protocols import TextEncoder, VersionEncoder
from rag.index.exact_search import ExactIndex
from rag.library.filter_masks import FilterMasks
from rag.library.library import Library
from rag.library.search_filter import NO_FILTER, SearchFilter
from rag.records import Hit
from rag.retrieval.fusion import fuse_scores, normalise_bm25, top_fused, top_positions
from rag.retrieval.near_duplicates import collapse_near_duplicates
from rag.retrieval.reranker import Reranker

EXCLUDED_SCORE = -np.inf  # no weight of BM25 lifts a passage that has no cosine
N_SPARE_HITS = 4  # passages fetched beyond those that are shown: as a rule enough for the near-duplicates among them
MAX_SINGLE_LOOKUPS = 2_000  # passages whose vectors are looked up one by one, in 13 ms; for more, all are read and kept


class DenseSearch(Protocol):
    """Nearest passages by cosine: Chroma, or exact search if Chroma can't serve."""

    def search(self, query_vectors: FloatArray, k: int) -> list[list[tuple[str, float]]]:
        """For each row of *query_vectors*, `(q, dim)`, up to *k* (passage id, cosine), best first."""


class LexicalSearch(Protocol):
    """BM25 over the same passages."""

    passage_ids: list[str]

    def scores(self, question: str) -> NDArray[np.float64]:
        """`(n_passages,)`, in the order of passage_ids."""


class FeedbackBoosts(Protocol):
    """What people said since the version learned."""

    def lifts(self, query_vector: FloatArray, user: str) -> Mapping[str, float]:
        """passage id → what to add to its fused score when *user* asks a question with the vector *query_vector*, `(dim,)`."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits for a question, rank 1 first, and how far they were reranked."""

    hits: list[Hit]
    rerank_is_cut: bool = False
    """Whether the reranker's time was spent before it had read all that it was to read."""


class Retriever:
    """One version over the library as it is now. Immutable: a new version or library gets a new one."""

    def __init__(
        self,
        encoder: VersionEncoder,
        dense: DenseSearch,
        lexical: LexicalSearch,
        library: Library,
        vectors: PassageVectors,
        *,
        lexical_weight: float,
        candidates: int = 100,
        feedback_boosts: FeedbackBoosts | None = None,
        reranker: Reranker | None = None,
        collapse_duplicates: bool = False,
        embedding_cache: EmbeddingCache | None = None,
    ) -> None:
        """*collapse_duplicates*: a passage that says no more than a better hit is named in that one's `also_in`, not shown.

        What was encoded lately is taken from *embedding_cache*, if that is given.
        """
        self.encoder = encoder
        self.reader: TextEncoder = embedding_cache.of(encoder) if embedding_cache is not None else encoder
        """What questions are encoded by, and the sentences that answer them."""
        self.encoder_id = encoder.encoder_id
        self.lexical_weight = lexical_weight
        self.today = feedback_boosts
        self.reranker = reranker
        self._dense = dense
        self._lexical = lexical
        self._library = library
        self._vectors = vectors
        self._candidates = candidates
        self._distinct = collapse_duplicates
        self._shelves = FilterMasks(library.engine, lexical.passage_ids)
        self._all = ExactIndex(vectors)
        self._position = {passage_id: row for row, passage_id in enumerate(lexical.passage_ids)}

    @property
    def index_state(self) -> str:
        """How the index is by which it searches, see `rag.index.serving_index.State`; "absent" if it searches exactly."""
        return str(getattr(self._dense, "state", "absent"))

    def search(
        self, search_query: str, k: int = 6, user: str | None = None, where: SearchFilter = NO_FILTER
    ) -> list[Hit]:
        """The best *k* passages for *search_query*, rank 1 first; fewer if the library holds fewer.

        If it is said which *user* asks, today's votes count too. Whoever measures does not say it. Only passages that
        pass the filter *where* are searched: the best *k* of them, however far below the others they would stand.

        Raises:
            NotFoundError: no document has a source or type that the filter names.
        """
        return self.find(search_query, k, user, where).hits

    def find(
        self, search_query: str, k: int = 6, user: str | None = None, where: SearchFilter = NO_FILTER
    ) -> SearchResult:
        """As of `search`, and whether the reranker came to its end."""
        if self.reranker is None:
            return SearchResult(self._served(search_query, k, user, where))
        reranked = self.reranker.rerank(search_query, self._served(search_query, max(k, self.reranker.k), user, where))
        return SearchResult(reranked.hits[:k], reranked.is_cut)

    def _served(self, question: str, k: int, user: str | None, where: SearchFilter) -> list[Hit]:
        """The best *k* by fused score, of those that pass."""
        keep = self._shelves.mask(where) if where else None
        query = self.reader.encode_queries([question])[0]
        candidates = max(self._candidates, k)
        dense, lexical = self._scores(question, query, candidates, keep)
        lift = self._lifts(query, user, dense, keep)
        # All that may be among the best k: without the lifted ones the best k stay, and each one lowered lets one in.
        wanted = candidates if self._distinct else k
        best = top_fused(dense, lexical, self.lexical_weight, candidates, wanted + len(lift))
        pool = np.union1d(best, list(lift)).astype(np.intp)
        scores = fuse_scores(dense, lexical, self.lexical_weight)[pool] + [lift.get(row, 0.0) for row in pool]
        rows = [row for row in pool[top_positions(scores, wanted)] if dense[row] > EXCLUDED_SCORE]
        return self._first(k, rows, lambda some: self._hits(some, dense, lexical, lift))

    def _first(self, k: int, rows: Sequence[int], hits_of: Callable[[Sequence[int]], list[Hit]]) -> list[Hit]:
        """The first *k* of *rows* as hits; if distinct ones are wanted, further rows fill up for those that collapse."""
        found: list[Hit] = []
        for row_batch in batched(rows, k + N_SPARE_HITS if self._distinct else k):
            found = (
                collapse_near_duplicates([*found, *hits_of(row_batch)])
                if self._distinct
                else [*found, *hits_of(row_batch)]
            )
            if len(found) >= k:
                break
        return [replace(hit, rank=rank) for rank, hit in enumerate(found[:k], start=1)]

    def _hits(
        self, rows: Sequence[int], dense: FloatArray, lexical: FloatArray, lift: Mapping[int, float]
    ) -> list[Hit]:
        """Without ranks."""
        ids = self._lexical.passage_ids
        passages = self._library.get([ids[row] for row in rows])  # one that was removed a moment ago is left out
        return [
            Hit(
                passage=passages[ids[row]],
                rank=0,
                score=float(dense[row]) + self.lexical_weight * float(lexical[row]) + lift.get(row, 0.0),
                dense=float(dense[row]),
                lexical=float(lexical[row]),
                feedback_boost=lift.get(row, 0.0),
            )
            for row in rows
            if ids[row] in passages
        ]

    def _lifts(
        self, query: FloatArray, user: str | None, dense: FloatArray, keep: BoolArray | None
    ) -> dict[int, float]:
        """row → what today's votes add; fills in the cosines of passages that they alone put forward."""
        if self.today is None or user is None:
            return {}
        found = self.today.lifts(query, user)
        lift = {
            self._position[passage_id]: amount for passage_id, amount in found.items() if passage_id in self._position
        }
        if keep is not None:
            return {row: amount for row, amount in lift.items() if keep[row]}
        lifted = [row for row, amount in lift.items() if amount > 0 and dense[row] == EXCLUDED_SCORE]
        self._add_cosines(lifted, dense, query)
        return lift

    def _scores(
        self, question: str, query: FloatArray, candidates: int, keep: BoolArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Dense and normalised lexical scores, each `(n_passages,)`; dense ones for candidates of either side.

        With a filter, *keep*, dense ones for all that pass: a graph of neighbours loses most of them (Chroma 1.5.9 with
        `where` found 1 of 3, and 73 of 100, among 100,000), exact search none.
        """
        words = self._lexical.scores(question)
        lexical = normalise_bm25(words if keep is None else np.where(keep, words, 0.0)).astype(np.float32)
        dense = np.full(len(lexical), EXCLUDED_SCORE, np.float32)
        if keep is not None:
            self._add_passing(np.flatnonzero(keep), dense, query)
            return dense, lexical
        for passage_id, cosine in self._dense.search(query[None, :], candidates)[0]:
            if passage_id in self._position:
                dense[self._position[passage_id]] = cosine
        if self.lexical_weight:
            self._add_lexical_candidates(dense, lexical, query, candidates)
        return dense, lexical

    def _add_passing(self, rows: NDArray[np.intp], dense: FloatArray, query: FloatArray) -> None:
        """Fills in the cosines of all *rows*."""
        if len(rows) <= MAX_SINGLE_LOOKUPS:
            self._add_cosines(rows.tolist(), dense, query)
            return
        passage_ids, cosines = self._all.cosines(query)
        if passage_ids == self._lexical.passage_ids:  # as a rule
            dense[rows] = cosines[rows]
            return
        wanted = set(rows.tolist())
        for passage_id, cosine in zip(passage_ids, cosines.tolist(), strict=True):
            if self._position.get(passage_id) in wanted:
                dense[self._position[passage_id]] = cosine

    def _add_lexical_candidates(self, dense: FloatArray, lexical: FloatArray, query: FloatArray, n: int) -> None:
        """Fills in the cosines of passages that only BM25 put forward, from their vectors in SQL."""
        absent = [row for row in top_positions(lexical, n) if lexical[row] > 0 and dense[row] == EXCLUDED_SCORE]
        self._add_cosines(absent, dense, query)

    def _add_cosines(self, rows: Sequence[int], dense: FloatArray, query: FloatArray) -> None:
        if not rows:
            return
        for passage_id, vector in self._vectors.rows([self._lexical.passage_ids[row] for row in rows]).items():
            dense[self._position[passage_id]] = np.clip(vector @ query, -1, 1)


def to_langchain_retriever(retriever: Retriever, k: int = 6) -> Any:
    """The retriever as a LangChain `BaseRetriever`; documents carry id, source, page and scores in their metadata."""
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    class NightjarRetriever(BaseRetriever):
        """Dense and lexical search, fused by the weight of the current version."""

        k: int = 6

        def _get_relevant_documents(
            self,
            query: str,
            *,
            run_manager: CallbackManagerForRetrieverRun,
            k: int | None = None,
            where: SearchFilter = NO_FILTER,
        ) -> list[Document]:
            return [_document(hit) for hit in retriever.search(query, k or self.k, where=where)]

    def _document(hit: Hit) -> Document:
        metadata = {
            "source": hit.passage.source,
            "title": hit.passage.title,
            "page": hit.passage.page,
            "rank": hit.rank,
            "score": hit.score,
            "dense": hit.dense,
            "lexical": hit.lexical,
        }
        return Document(id=hit.passage.passage_id, page_content=hit.passage.text, metadata=metadata)

    return NightjarRetriever(k=k)
