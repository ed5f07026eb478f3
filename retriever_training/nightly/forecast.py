"""What a night would do now, before it does it: which tier it takes, why, and about how long each would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag.app.app import App
from retriever_training.judgments.snapshot import Evidence
from retriever_training.nightly.choose_tier import Load, TierChoice, choose_tier, cold_choice, passages_per_second
from retriever_training.nightly.sufficiency import Enough
from retriever_training.tiers.night_plan import NightPlan

TIERS = ("auto", "1", "2", "3")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What one choice of tier comes to."""

    tier: int
    why: str
    minutes: float | None
    """Of training and encoding, about; None for tier 1, which takes seconds to a few minutes whatever it learns from."""


def choose(app: App, evidence: Evidence, plan: NightPlan, found: Enough) -> TierChoice:
    """The tier of a night that has enough; the speed of this machine is measured only where the plan leaves it open."""
    if found.from_own:
        return cold_choice(found.n_train, found.min_train)
    per_second = math.inf
    if plan.tier == "auto":
        per_second = speed(app, evidence)
    return choose_tier(plan.tier, load_of(evidence, per_second), plan.max_minutes, plan.towers, plan.query_tower)


def foresee(evidence: Evidence, plan: NightPlan, found: Enough, per_second: float) -> dict[str, Foreseen]:
    """What a night of each of TIERS would do, at so many passages a second."""
    load = load_of(evidence, per_second)
    minutes = {2: load.of_query_tower(plan.query_tower), 3: load.of_towers(plan.towers)}
    told = {}
    for wanted in TIERS:
        choice = choose_tier(wanted, load, plan.max_minutes, plan.towers, plan.query_tower)
        choice = cold_choice(found.n_train, found.min_train) if found.from_own else choice
        told[wanted] = Foreseen(choice.tier, choice.why, minutes.get(choice.tier))
    return told


def speed(app: App, evidence: Evidence) -> float:
    """Passages that the base encodes here in a second; takes about two."""
    return passages_per_second(app.open_encoder(app.registry.base().encoder_id), evidence.texts)


def load_of(evidence: Evidence, per_second: float) -> Load:
    """What a night of this evidence has to do."""
    train = evidence.asked("train")
    return Load(
        n_questions=len(train),
        n_rows=sum(len(right) for right in train.right),
        n_passages=len(evidence.passages),
        question_length=_mean_length(train.questions) / _mean_length(evidence.texts),
        per_second=per_second,
    )


def _mean_length(texts: Sequence[str]) -> float:
    return sum(map(len, texts)) / max(1, len(texts))
