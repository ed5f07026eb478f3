"""A sample of mined negatives to read: numbers say how many are false, reading says why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from retriever_training.negatives.candidates.records import Candidate, MinedNegatives, MiningContext


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedCandidate:
    """A candidate next to its question and a right passage, as texts."""

    question: str
    positive: str
    """The first right passage; empty if none is known."""
    candidate: str
    passage_id: str
    source: str
    rank: int
    score: float
    removed: str | None
    """The reason; None if it was kept."""

    def as_json(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return asdict(self)


def sample_for_audit(
    mine: MiningContext,
    by_source: Mapping[str, Sequence[MinedNegatives]],
    texts: Sequence[str],
    n: int = 3,
    seed: int = 13,
) -> list[AuditedCandidate]:
    """Returns *n* candidates, or all if there are fewer, of each source and outcome, drawn at random, in a fixed order.

    Stratified, so that a rule which removed five of a million is read as closely as one which removed half of them.
    """
    strata: dict[tuple[str, str], list[tuple[int, Candidate]]] = defaultdict(list)
    for name, mined in by_source.items():
        for row, result in enumerate(mined):
            for candidate in result.kept:
                strata[name, ""].append((row, candidate))
            for candidate, reason in result.removed:
                strata[name, reason].append((row, candidate))
    generator = np.random.default_rng(seed)
    drawn = []
    for (_, reason), members in sorted(strata.items(), key=lambda stratum: stratum[0]):
        places = sorted(generator.choice(len(members), min(n, len(members)), replace=False).tolist())
        drawn += [_audited(mine, texts, members[index], reason or None) for index in places]
    return drawn


def _audited(
    mine: MiningContext, texts: Sequence[str], drawn: tuple[int, Candidate], removed: str | None
) -> AuditedCandidate:
    row, candidate = drawn
    positives = sorted(mine.positives[row])
    return AuditedCandidate(
        question=mine.questions[row],
        positive=texts[positives[0]] if positives else "",
        candidate=texts[candidate.passage],
        passage_id=mine.passage_ids[candidate.passage],
        source=candidate.source,
        rank=candidate.rank,
        score=candidate.score,
        removed=removed,
    )
