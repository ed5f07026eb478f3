"""Ranks of judged passages under each version, over the library as it is now."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from rag.app.stores import Stores
from rag.arrays import FloatArray
from rag.embedding.query_vectors import get_query_vectors
from rag.errors import NightjarError
from rag.index.exact_search import ExactIndex
from rag.retrieval.retriever import Retriever
from rag.versions.registry import Version

log = logging.getLogger(__name__)

RankTarget = tuple[str, str]
"""Question and passage id."""
SEARCH_DEPTH = 100
BEYOND_DEPTH = SEARCH_DEPTH + 1
"""The rank of a passage that is not among the first `SEARCH_DEPTH`."""
MAX_CACHED_RANKS = 50_000  # of about 200 bytes each


class JudgedRanks:
    """Finds ranks, and caches them in memory until the library changes. Threads may share it.

    A version is searched exactly, as it is served by itself: with near-duplicates collapsed if the settings say so, but
    without today's votes and without a reranker. Its vectors of the questions are stored in SQL, as a night stores them.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._kept: dict[tuple[str, RankTarget], int | None] = {}
        self._state: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def missing(self, targets_by_version: Mapping[str, Iterable[RankTarget]]) -> dict[str, list[RankTarget]]:
        """Returns encoder id → the *targets_by_version* that have to be searched for first."""
        state = self._stores.library.revision(), self._stores.library.vectors_revision()
        with self._lock:
            if state != self._state or len(self._kept) > MAX_CACHED_RANKS:
                self._kept, self._state = {}, state
            unknown = {
                encoder_id: [target for target in dict.fromkeys(targets) if (encoder_id, target) not in self._kept]
                for encoder_id, targets in targets_by_version.items()
            }
        return {encoder_id: targets for encoder_id, targets in unknown.items() if targets}

    def find(
        self, encoder_id: str, targets: Sequence[RankTarget], progress: Callable[[int], None] = lambda n: None
    ) -> None:
        """Searches for the questions of *targets* by one version; *progress* gets 1 for each question."""
        try:
            ranks = _find_ranks(self._stores, self._stores.registry.version(encoder_id), targets, progress)
        except NightjarError as error:
            log.info("ranks under version %s are unknown: %s", encoder_id, error)
            ranks = dict.fromkeys(targets)
        with self._lock:
            self._kept |= {(encoder_id, target): rank for target, rank in ranks.items()}

    def rank(self, encoder_id: str, target: RankTarget) -> int | None:
        """Returns 1 to `SEARCH_DEPTH`, or `BEYOND_DEPTH`; None if the rank is unknown or was not searched for."""
        with self._lock:
            return self._kept.get((encoder_id, target))


def _find_ranks(
    stores: Stores, version: Version, targets: Sequence[RankTarget], progress: Callable[[int], None]
) -> dict[RankTarget, int | None]:
    """Returns the ranks; all are None if the version has not encoded the whole library as it is now."""
    vectors = stores.vectors(version.passage_side)
    if version.encoder_id != stores.current().encoder_id and vectors.missing():
        return dict.fromkeys(targets)
    passages_of: dict[str, list[str]] = defaultdict(list)
    for question, passage_id in targets:
        passages_of[question].append(passage_id)
    retriever = Retriever(
        StoredQueryEncoder(stores, version, list(passages_of)),
        ExactIndex(vectors),
        stores.served_lexical(),
        stores.library,
        vectors,
        lexical_weight=version.lexical_weight,
        candidates=stores.candidates,
        collapse_duplicates=stores.collapses_duplicates,
    )
    ranks: dict[RankTarget, int | None] = {}
    for question, passage_ids in passages_of.items():
        rank_of = {
            passage.passage_id: hit.rank
            for hit in retriever.search(question, SEARCH_DEPTH)
            for passage in (hit.passage, *hit.also_in)
        }
        ranks |= {(question, passage_id): rank_of.get(passage_id, BEYOND_DEPTH) for passage_id in passage_ids}
        progress(1)
    return ranks


class StoredQueryEncoder:
    """A version's vectors of given questions, from SQL; its encoder is opened only if a vector is missing."""

    def __init__(self, stores: Stores, version: Version, questions: Sequence[str]) -> None:
        self.encoder_id = version.encoder_id
        self.passage_side = version.passage_side
        rows = get_query_vectors(stores.engine, _OpenedLater(stores, version.encoder_id), questions)
        self._vectors = dict(zip(questions, rows, strict=True))

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Returns `(n, dim)` float32, rows of unit length; knows only the questions that it was made with."""
        return np.stack([self._vectors[text] for text in texts])

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """Raises, because passages were encoded when they were added."""
        raise NotImplementedError


class _OpenedLater:
    def __init__(self, stores: Stores, encoder_id: str) -> None:
        self.encoder_id = encoder_id
        self._stores = stores

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        return self._stores.encode_few(self.encoder_id, texts)
