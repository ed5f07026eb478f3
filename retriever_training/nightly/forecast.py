"""What a night would do now, before it does it: which tier it takes, why, and about how long each would take."""

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
    """What one choice of tier comes to."""

    tier: int
    why: str
    minutes: float | None
    """Of training and encoding, about; None for tier 1, which takes seconds to a few minutes whatever it learns from."""


def choose_night_tier(
    stores: Stores, evidence: TrainingSnapshot, plan: NightPlan, found: DataSufficiency
) -> TierChoice:
    """The tier of a night that has enough; the speed of this machine is measured only if the plan leaves it open."""
    if found.is_cold_start:
        return cold_start_choice(found.n_train, found.min_train)
    per_second = math.inf
    if plan.tier == "auto":
        per_second = base_passages_per_second(stores, evidence)
    return choose_tier(plan.tier, night_workload(evidence, per_second), plan.max_minutes, plan.towers, plan.query_tower)


def forecast_night(
    evidence: TrainingSnapshot, plan: NightPlan, found: DataSufficiency, per_second: float
) -> dict[str, TierForecast]:
    """What a night of each of TIERS would do, at this many passages a second."""
    load = night_workload(evidence, per_second)
    minutes = {2: load.query_tower_minutes(plan.query_tower), 3: load.two_tower_minutes(plan.towers)}
    told = {}
    for wanted in TIER_CHOICES:
        choice = choose_tier(wanted, load, plan.max_minutes, plan.towers, plan.query_tower)
        choice = cold_start_choice(found.n_train, found.min_train) if found.is_cold_start else choice
        told[wanted] = TierForecast(choice.tier, choice.why, minutes.get(choice.tier))
    return told


def base_passages_per_second(stores: Stores, evidence: TrainingSnapshot) -> float:
    """Passages that the base encodes here in a second; takes about two."""
    return measure_passages_per_second(stores.open_encoder(stores.registry.base().encoder_id), evidence.texts)


def night_workload(evidence: TrainingSnapshot, per_second: float) -> NightWorkload:
    """What a night of this evidence has to do."""
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
