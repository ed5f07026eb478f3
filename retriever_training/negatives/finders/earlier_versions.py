"""Negatives of earlier versions: passages that a version before the current one ranked high.

What an earlier version confused is still worth training on, even if the current one does not confuse it, because each
night trains from the base again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from retriever_training.negatives.candidates.records import Candidate, MiningContext
from retriever_training.negatives.finders.dense import find_by_view


def find_by_earlier_versions(mine: MiningContext, n: int) -> list[list[Candidate]]:
    """Returns *n* passages for each question: the nearest by the newest earlier version, by the one before, and so on in
    turn.

    A passage belongs to the first version that finds it. Without an earlier version the lists are empty.
    """
    by_version = [find_by_view(mine, view, "earlier", n) for view in mine.earlier]
    return [interleave([candidates[row] for candidates in by_version], n) for row in range(len(mine))]


def interleave(lists: Sequence[Sequence[Candidate]], n: int) -> list[Candidate]:
    """Returns the first of each list, then the second of each, and so on, up to *n* different passages, ranked anew.

    >>> new, old = (
    ...     [Candidate(passage=row, source="earlier", rank=1, score=0.0, version=name) for row in rows]
    ...     for name, rows in (("b", [4, 7]), ("a", [4, 9]))
    ... )
    >>> [(candidate.passage, candidate.version, candidate.rank) for candidate in interleave([new, old], 3)]
    [(4, 'b', 1), (7, 'b', 2), (9, 'a', 3)]
    """
    first: dict[int, Candidate] = {}
    for turn in zip_longest(*lists):
        for candidate in turn:
            if candidate is not None:
                first.setdefault(candidate.passage, candidate)
    return [
        Candidate(
            passage=candidate.passage,
            source=candidate.source,
            rank=rank,
            score=candidate.score,
            version=candidate.version,
        )
        for rank, candidate in enumerate(list(first.values())[:n], start=1)
    ]
