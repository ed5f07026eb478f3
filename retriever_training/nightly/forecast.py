"""Forecasts a night: which tier it would take now, why, and about how long each tier would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag.app.stores import Stores
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.nightly.choose_tier import (
    NightWorkload,
    TierChoice,
    choose_tier,
    cold_start_choice,
    measure_passages_per_second,
)
from retriever_training.nightly.sufficiency import DataSufficiency
from retriever_training.tiers.night_plan import NightPlan

TIER_CHOICES = ("auto", "1", "2", "3")


@dataclass(frozen=True, slots=True)
class TierForecast:
    """What a night would do if this tier were chosen."""

    tier: int
    why: str
    minutes: float | None
    """Estimated minutes of training and encoding; None for tier 1, which never takes more than a few minutes."""


def choose_night_tier(
    stores: Stores, evidence: TrainingSnapshot, plan: NightPlan, sufficiency: DataSufficiency
) -> TierChoice:
    """Returns the tier of a night that has enough data; measures this machine's speed only if the plan says "auto"."""
    if sufficiency.is_cold_start:
        return cold_start_choice(sufficiency.n_train, sufficiency.min_train)
    per_second = math.inf
    if plan.tier == "auto":
        per_second = base_passages_per_second(stores, evidence)
    return choose_tier(plan.tier, night_workload(evidence, per_second), plan.max_minutes, plan.towers, plan.query_tower)


def forecast_night(
    evidence: TrainingSnapshot, plan: NightPlan, sufficiency: DataSufficiency, per_second: float
) -> dict[str, TierForecast]:
    """Returns what a night would do for each of `TIER_CHOICES`, at this many passages a second."""
    load = night_workload(evidence, per_second)
    minutes = {2: load.query_tower_minutes(plan.query_tower), 3: load.two_tower_minutes(plan.towers)}
    forecasts = {}
    for requested in TIER_CHOICES:
        if sufficiency.is_cold_start:
            choice = cold_start_choice(sufficiency.n_train, sufficiency.min_train)
        else:
            choice = choose_tier(requested, load, plan.max_minutes, plan.towers, plan.query_tower)
        forecasts[requested] = TierForecast(choice.tier, choice.why, minutes.get(choice.tier))
    return forecasts


def base_passages_per_second(stores: Stores, evidence: TrainingSnapshot) -> float:
    """Measures how many passages the base encodes here in a second; takes about two seconds."""
    return measure_passages_per_second(stores.open_encoder(stores.registry.base().encoder_id), evidence.texts)


def night_workload(evidence: TrainingSnapshot, per_second: float) -> NightWorkload:
    """Returns how much a night on this snapshot has to do."""
    train = evidence.asked("train")
    return NightWorkload(
        n_questions=len(train),
        n_rows=sum(len(right) for right in train.right),
        n_passages=len(evidence.passages),
        relative_question_length=_mean_length(train.questions) / _mean_length(evidence.texts),
        per_second=per_second,
    )


def _mean_length(texts: Sequence[str]) -> float:
    return sum(map(len, texts)) / max(1, len(texts))
