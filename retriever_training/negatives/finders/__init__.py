"""One way of finding negatives a file. A new one is a file with `find` here, and a line in FINDERS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from rag.errors import UsageError
from retriever_training.negatives.candidates.records import Finder
from retriever_training.negatives.finders import bm25, dense, in_batch, random
from retriever_training.negatives.finders import earlier_versions as earlier
from retriever_training.negatives.finders import lexical_neighbour as word_neighbour
from retriever_training.negatives.finders import positive_neighbour as neighbour
from retriever_training.negatives.finders import rejected as feedback

FINDERS: Mapping[str, Finder] = {
    "feedback": feedback.find_rejected,
    "dense": dense.find_dense,
    "earlier": earlier.find_by_earlier_versions,
    "bm25": bm25.find_by_bm25,
    "neighbour": neighbour.find_positive_neighbours,
    "word_neighbour": word_neighbour.find_lexical_neighbours,
    "random": random.find_random,
    "in_batch": in_batch.find_in_batch,
}
"""In the order in which they are asked: what several find belongs to the first."""


def check_sources(sources: Sequence[str]) -> None:
    """
    Raises:
        UsageError: one is no way of finding negatives, or none is given.
    """
    for source in sources or ("",):
        if source not in FINDERS:
            near = get_close_matches(source, FINDERS, 1)
            raise UsageError(
                f"no source {source!r} of negatives"
                + (f", did you mean {near[0]!r}?" if near else "")
                + f": there are {', '.join(FINDERS)}"
            )
