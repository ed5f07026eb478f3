"""The first hits in a better order: each is read together with the question, for as long as there is time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.records import Hit
from rag.retrieval.fusion import top_positions

RERANK_WEIGHT = 1.0
"""What a probability of 1 adds to the fused score: as much as a pin of today's, so that no reader outweighs a person.

Dev questions of feedbackqa-uk (209, nDCG@10, served .684), a cross-encoder of one epoch on 1,169 rows, calibrated: its
order alone .658, a weight of .3 .693, .7 .705, 1 .706 (+.022, p = .009), 2 .712, 3 .716, 5 .704; by reciprocal ranks .703.
"""
PASSAGES_PER_BATCH = 4  # passages between two looks at the clock: a fifth of a second on one busy core

log = logging.getLogger(__name__)


class PassageReranker(Protocol):
    """Whatever can say how well a passage answers a question; `rag.retrieval.cross_encoder.CrossEncoder` is one."""

    def load(self) -> None:
        """Gets ready, as far as that takes time."""

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """`(n,)` float32, the probability in 0 to 1 that each passage is right."""


def reorder_by_rerank_score(hits: Sequence[Hit], weight: float) -> list[Hit]:
    """The hits that were read by score + *weight* · rerank, equal ones as served, then those that were not; ranks from 1.

    *hits* are in the order served, the read ones first.
    """
    n_read = sum(hit.rerank is not None for hit in hits)
    scores = np.array([hit.score + weight * (hit.rerank or 0.0) for hit in hits[:n_read]])
    order = [*(hits[index] for index in top_positions(scores, n_read)), *hits[n_read:]]
    return [replace(hit, rank=rank) for rank, hit in enumerate(order, start=1)]


@dataclass(frozen=True, slots=True)
class RerankedHits:
    """Hits in their new order, ranks from 1."""

    hits: list[Hit]
    is_cut: bool
    """Whether the time was spent before all that were to be read had been; those left are below, as served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranker:
    """Reads the first *k* hits, at most *budget_s* seconds long and always READ_AT_ONCE of them.

    The score that a hit was served by goes on counting next to the reader's, and with it what today's votes added: a
    person who pins a passage sees it at once, whatever the reader takes it for.
    """

    reader: PassageReranker
    k: int = 20
    budget_s: float = 2.0
    weight: float = RERANK_WEIGHT
    clock: Callable[[], float] = time.monotonic

    def rerank(self, question: str, hits: Sequence[Hit]) -> RerankedHits:
        """*hits* are in the order served; loading the reader's weights is not counted as reading."""
        wanted = hits[: self.k]
        read = self._read(question, wanted)
        if len(read) < len(wanted):
            log.info("the reranker's %g s were spent after %d of %d passages", self.budget_s, len(read), len(wanted))
        return RerankedHits(
            reorder_by_rerank_score([*read, *hits[len(read) :]], self.weight), is_cut=len(read) < len(wanted)
        )

    def _read(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """The hits that were read, in the order given, with what the reader said."""
        self.reader.load()
        read: list[Hit] = []
        until = self.clock() + self.budget_s
        while len(read) < len(hits) and (not read or self.clock() < until):
            some = hits[len(read) : len(read) + PASSAGES_PER_BATCH]
            scores = self.reader.scores(question, [hit.passage.encoded_text for hit in some])
            read += [replace(hit, rerank=score) for hit, score in zip(some, scores.tolist(), strict=True)]
        return read
