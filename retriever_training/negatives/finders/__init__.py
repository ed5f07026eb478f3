"""One way of finding negatives per file. To add one, add a file with a `Finder` here and a line in FINDERS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from rag.errors import UsageError
from retriever_training.negatives.candidates.records import Finder
from retriever_training.negatives.finders.bm25 import find_by_bm25
from retriever_training.negatives.finders.dense import find_dense
from retriever_training.negatives.finders.earlier_versions import find_by_earlier_versions
from retriever_training.negatives.finders.in_batch import find_in_batch
from retriever_training.negatives.finders.lexical_neighbour import find_lexical_neighbours
from retriever_training.negatives.finders.positive_neighbour import find_positive_neighbours
from retriever_training.negatives.finders.random import find_random
from retriever_training.negatives.finders.rejected import find_rejected

FINDERS: Mapping[str, Finder] = {
    "feedback": find_rejected,
    "dense": find_dense,
    "earlier": find_by_earlier_versions,
    "bm25": find_by_bm25,
    "neighbour": find_positive_neighbours,
    "word_neighbour": find_lexical_neighbours,
    "random": find_random,
    "in_batch": find_in_batch,
}
"""The finders in the order in which they are asked; a passage that several find belongs to the first."""


def check_sources(sources: Sequence[str]) -> None:
    """Checks that every source is a finder.

    Raises:
        UsageError: a source is not one of FINDERS, or none is given.
    """
    for source in sources or ("",):
        if source not in FINDERS:
            near = get_close_matches(source, FINDERS, 1)
            raise UsageError(
                f"no source {source!r} of negatives"
                + (f", did you mean {near[0]!r}?" if near else "")
                + f": there are {', '.join(FINDERS)}"
            )
