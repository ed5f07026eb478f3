"""What answers now, and how its successor is made when a version was promoted or the library changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rag.app.components import AnyEncoder, Components
from rag.embedding.embedding_cache import EmbeddingCache
from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import PassageVectors
from rag.feedback.same_day_boosts import SameDayFeedback, last_learned_event
from rag.index.bm25 import Bm25Index
from rag.index.exact_search import ExactIndex
from rag.index.serving_index import ServingIndex
from rag.retrieval.reranker import Reranker
from rag.retrieval.retriever import DenseSearch, Retriever
from rag.versions.registry import Version

LibraryState = tuple[int, int, int]
"""Latest promotion, library revision and vectors revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRetriever:
    """What answers now, and the state it was made from."""

    retriever: Retriever
    version: Version
    lexical: Bm25Index
    state: LibraryState
    index: ServingIndex | None
    today: SameDayFeedback | None


class RetrieverFactory:
    """Makes what answers, of opened parts. With *serve* over the Chroma index; without it search is exact, over SQL."""

    def __init__(self, components: Components, *, serve: bool) -> None:
        self._parts = components
        self._serve = serve
        self._recent = EmbeddingCache()

    def after(self, before: ActiveRetriever | None, version: Version, state: LibraryState) -> ActiveRetriever:
        """What answers by *version*, with all of *before* that is still true."""
        encoder = self._encoder(before, version)
        lexical = self._lexical(before, state[1])
        vectors = self._parts.vectors(version.passage_side)
        today = self._today(version, encoder)
        index = self._index(before, version, vectors) if self._serve else None  # last, because it holds a lock
        dense = index or ExactIndex(vectors)
        retriever = self.retriever(
            version, encoder, dense=dense, lexical=lexical, today=today, reranker=self._ready_reranker(encoder)
        )
        return ActiveRetriever(
            retriever=retriever, version=version, lexical=lexical, state=state, index=index, today=today
        )

    def with_full_encoder(self, live: ActiveRetriever) -> ActiveRetriever:
        """Returns *live* with sentence-transformers in place of numpy if it serves, at a refresh with nothing else
        to do.
        """
        if not self._serve or isinstance(live.retriever.encoder, Encoder):
            return live
        dense = live.index or ExactIndex(self._parts.vectors(live.version.passage_side))
        encoder = self._warm_encoder(live.version)
        today = self._today(live.version, encoder)
        reranker = self._ready_reranker(encoder)
        retriever = self.retriever(
            live.version, encoder, dense=dense, lexical=live.lexical, today=today, reranker=reranker
        )
        return replace(live, retriever=retriever, today=today)

    def retriever(
        self,
        version: Version,
        encoder: AnyEncoder,
        dense: DenseSearch,
        lexical: Bm25Index,
        today: SameDayFeedback | None = None,
        reranker: Reranker | None = None,
        *,
        distinct: bool | None = None,
    ) -> Retriever:
        """A retriever by *version*, as the settings say; they say of *distinct* too if it is None."""
        return Retriever(
            encoder,
            dense,
            lexical,
            self._parts.library,
            self._parts.vectors(version.passage_side),
            lexical_weight=version.lexical_weight,
            candidates=self._parts.settings.retrieval.candidates,
            feedback_boosts=today,
            reranker=reranker,
            collapse_duplicates=self._parts.settings.retrieval.distinct if distinct is None else distinct,
            embedding_cache=self._recent if self._serve else None,
        )

    def _encoder(self, before: ActiveRetriever | None, version: Version) -> Any:
        """Returns the encoder of *before* if the version stayed, else a new one."""
        if before and before.version.encoder_id == version.encoder_id:
            return before.retriever.encoder
        if before and self._serve:
            return self._warm_encoder(version)
        # The first one after a start in numpy, ready seven seconds before torch is even imported.
        return self._parts.numpy_encoder(version.encoder_id)

    def _today(self, version: Version, encoder: AnyEncoder) -> SameDayFeedback | None:
        """What people said since *version* learned, if the settings let it count."""
        if not self._parts.settings.retrieval.until_tonight:
            return None
        return SameDayFeedback(
            self._parts.feedback,
            encoder,
            after=last_learned_event(version, self._parts.feedback),
            trusted=self._parts.settings.feedback.trusted,
            quarantined=self._parts.settings.feedback.quarantined,
            catches_up=self._serve,
        )

    def _ready_reranker(self, encoder: AnyEncoder) -> Reranker | None:
        """The reranker; in an application that serves, once torch is there, with its weights loaded."""
        if self._parts.reranker is None or (self._serve and not isinstance(encoder, Encoder)):
            return None
        if self._serve:
            self._parts.reranker.reader.load()  # now, not at somebody's question
        return self._parts.reranker

    def _lexical(self, before: ActiveRetriever | None, revision: int) -> Bm25Index:
        unchanged = before is not None and before.state[1] == revision
        return before.lexical if before and unchanged else self._parts.lexical(before.lexical if before else None)

    def _warm_encoder(self, version: Version) -> Encoder:
        encoder = self._parts.open_encoder(version.encoder_id)
        encoder.encode_queries(["warm"])  # loads the weights now, not at somebody's question
        return encoder

    def _index(self, before: ActiveRetriever | None, version: Version, vectors: PassageVectors) -> ServingIndex:
        """Returns the same index, told to look again, if the passage side stayed; else a new one that is getting
        ready.
        """
        if before and before.index and before.version.passage_side == version.passage_side:
            before.index.refresh()
            return before.index
        settings = self._parts.settings
        index = ServingIndex(settings.data / "index", vectors, url=settings.index.url)
        index.prepare()  # in the background; until then its search is exact
        return index
