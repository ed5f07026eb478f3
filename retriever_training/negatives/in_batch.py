"""In-batch negatives: the right passages of other questions. The loss makes them for free; here they can be seen."""

from __future__ import annotations

from retriever_training.negatives.mine import Candidate, Mine, ranked


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """For each question the right passages of *n* other questions, drawn as a batch would put them together."""
    generator = mine.generator("in_batch")
    found: list[list[Candidate]] = []
    everyone = sorted({row for positives in mine.positives for row in positives})
    for positives in mine.positives:
        others = [row for row in everyone if row not in positives]
        places = generator.choice(len(others), min(n, len(others)), replace=False) if others else ()
        found.append(ranked("in_batch", [others[place] for place in places], [0.0] * len(places)))
    return found
