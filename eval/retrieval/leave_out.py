"""A retriever over the library as it would be without some of its passages; nothing is removed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from rag.retrieval.retriever import DenseSearch, LexicalSearch


class LeaveOutDense:
    """Dense search that does not find some passages."""

    def __init__(self, search: DenseSearch, gone: frozenset[str]) -> None:
        self._search = search
        self._gone = gone

    def search(self, queries: FloatArray, k: int) -> list[list[tuple[str, float]]]:
        """As `DenseSearch.search`."""
        found = self._search.search(queries, k + len(self._gone))
        return [[passage_id for passage_id in row if passage_id[0] not in self._gone][:k] for row in found]


class LeaveOutLexical:
    """BM25 that scores some passages 0; they still count towards how rare a word is."""

    def __init__(self, lexical: LexicalSearch, gone: frozenset[str]) -> None:
        self._lexical = lexical
        self.passage_ids = lexical.passage_ids
        self._rows: Sequence[int] = [row for row, passage_id in enumerate(self.passage_ids) if passage_id in gone]

    def scores(self, question: str) -> NDArray[np.float64]:
        """As `LexicalSearch.scores`."""
        scores = np.array(self._lexical.scores(question))
        scores[self._rows] = 0.0
        return scores
