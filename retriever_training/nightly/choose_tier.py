"""Chooses the tier that a night can afford, and says why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rag.embedding.encoder import Encoder
from retriever_training.tiers.tier2_query_tower import QueryTowerPlan
from retriever_training.tiers.tier3_both_towers import TowersPlan

MIN_QUESTIONS_FOR_TOWERS = 200  # training questions; from fewer, transformers learned nothing beyond what the map did
BACKWARD_COST = 2.0  # the backward pass of a training step costs twice its forward pass
N_PROBE_TEXTS = 64


@dataclass(frozen=True, slots=True)
class TierChoice:
    """A tier and the sentence that says why."""

    tier: int
    why: str
    is_cold_start: bool = False
    """Whether the night learns from the library's own questions instead of people's judgments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightWorkload:
    """What a night would have to do, and how fast this machine is."""

    n_questions: int
    n_rows: int
    n_passages: int
    relative_question_length: float
    """The mean length of a question divided by that of a passage."""
    per_second: float
    """Passages that this machine encodes in a second."""

    def two_tower_minutes(self, plan: TowersPlan) -> float:
        """Estimates the minutes that tier 3 takes: training, and encoding the library again after every round.

        >>> night = NightWorkload(
        ...     n_questions=100, n_rows=100, n_passages=600, relative_question_length=0.1, per_second=1.0
        ... )
        >>> night.two_tower_minutes(TowersPlan(epochs=1, sources=("dense",)))
        20.0
        >>> night.two_tower_minutes(TowersPlan(epochs=1, rounds=2))
        30.0
        """
        trained = self.n_rows * plan.epochs * (1 + plan.n_mined) * (1 + BACKWARD_COST)
        return plan.rounds * (trained + self.n_passages) / self.per_second / 60

    def query_tower_minutes(self, plan: QueryTowerPlan) -> float:
        """Estimates the minutes that tier 2 takes.

        >>> night = NightWorkload(
        ...     n_questions=100, n_rows=100, n_passages=600, relative_question_length=0.1, per_second=1.0
        ... )
        >>> night.query_tower_minutes(QueryTowerPlan(epochs=2))
        1.0
        """
        return self.n_rows * plan.epochs * self.relative_question_length * (1 + BACKWARD_COST) / self.per_second / 60


def choose_tier(
    requested: str, load: NightWorkload, max_minutes: float, towers: TowersPlan, query_tower: QueryTowerPlan
) -> TierChoice:
    """Returns the highest tier for which there are enough questions and enough time.

    >>> def tier_for(n_questions: int, n_passages: int) -> int:
    ...     night = NightWorkload(
    ...         n_questions=n_questions,
    ...         n_rows=n_questions,
    ...         n_passages=n_passages,
    ...         relative_question_length=0.1,
    ...         per_second=50.0,
    ...     )
    ...     return choose_tier("auto", night, 120.0, TowersPlan(), QueryTowerPlan()).tier
    >>> tier_for(1000, 1000), tier_for(1000, 1_000_000), tier_for(50, 1000)
    (3, 2, 1)
    """
    if requested != "auto":
        return TierChoice(int(requested), f"Tier {requested} was asked for.")
    if load.n_questions < MIN_QUESTIONS_FOR_TOWERS:
        return TierChoice(
            1,
            f"Tier 1: {load.n_questions} training questions are too few for a transformer, "
            f"which needs {MIN_QUESTIONS_FOR_TOWERS}.",
        )
    two_tower, query_side = load.two_tower_minutes(towers), load.query_tower_minutes(query_tower)
    estimate = (
        f"both towers would take about {two_tower:.0f} minutes at {load.per_second:.0f} passages a second, "
        f"the query tower {query_side:.0f}, and the night may take {max_minutes:.0f}"
    )
    tier = 3 if two_tower <= max_minutes else 2 if query_side <= max_minutes else 1
    return TierChoice(tier, f"Tier {tier}: {estimate}.")


def cold_start_choice(n_questions: int, needed: int) -> TierChoice:
    """Returns tier 1 from the library's own questions, whichever tier was requested, because people asked too few.

    >>> cold_start_choice(3, 10).why
    "Tier 1 from the library's own questions: people gave 3 training questions, and a night learns from 10 or more."
    """
    return TierChoice(
        1,
        f"Tier 1 from the library's own questions: people gave {n_questions} training questions, and "
        f"a night learns from {needed} or more.",
        is_cold_start=True,
    )


def measure_passages_per_second(encoder: Encoder, texts: Sequence[str]) -> float:
    """Measures how many passages *encoder* encodes in a second, on a few passages spread over the library."""
    probes = list(texts[:: max(1, len(texts) // N_PROBE_TEXTS)][:N_PROBE_TEXTS])
    encoder.encode_passages(probes[:2])  # the first call is slower
    start = time.perf_counter()
    encoder.encode_passages(probes)
    return len(probes) / max(time.perf_counter() - start, 1e-6)
