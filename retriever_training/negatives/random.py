"""Random negatives: any passage that is not known to be right. Easy, cheap, and almost never false."""

from __future__ import annotations

from retriever_training.negatives.mine import Candidate, Mine, ranked


def find(mine: Mine, n: int) -> list[list[Candidate]]:
    """*n* passages drawn without replacement for each question, its positives left out."""
    generator = mine.generator("random")
    found: list[list[Candidate]] = []
    for positives in mine.positives:
        n_drawn = min(n + len(positives), len(mine.passage_ids))
        drawn = generator.choice(len(mine.passage_ids), n_drawn, replace=False)
        rows = [int(row) for row in drawn if int(row) not in positives][:n]
        found.append(ranked("random", rows, [0.0] * len(rows)))
    return found
