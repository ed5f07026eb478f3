"""Negatives from people: passages that were shown for the question and rejected, if the rejection counts."""

from __future__ import annotations

from retriever_training.negatives.candidates.records import Candidate, MiningContext, rank_candidates


def find_rejected(mine: MiningContext, n: int) -> list[list[Candidate]]:
    """Returns up to *n* rejected passages for each question, surest first, without its positives."""
    found: list[list[Candidate]] = []
    for rejected, positives in zip(mine.rejected, mine.positives, strict=True):
        rows = [row for row in rejected if row not in positives][:n]
        found.append(rank_candidates("feedback", rows, [0.0] * len(rows)))
    return found
