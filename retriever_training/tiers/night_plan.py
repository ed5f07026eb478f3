"""The choices that a person makes for a night before it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from eval.gate.rules import GateRules
from rag.retrieval.cross_encoder import CrossEncoder
from retriever_training.tiers.tier2_query_tower import QueryTowerPlan
from retriever_training.tiers.tier3_both_towers import TowersPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class NightPlan:
    """How a night learns and decides."""

    tier: str = "auto"
    max_minutes: float = 120.0
    cold_start: bool = True
    """Whether a night learns from the library's own questions if people asked too few."""
    query_tower: QueryTowerPlan = field(default_factory=QueryTowerPlan)
    towers: TowersPlan = field(default_factory=TowersPlan)
    keep_refused: int = 1
    """How many refused candidates, the latest ones, keep their files and vectors; has no effect on decisions."""
    rules: GateRules = field(default_factory=GateRules)
    trusted: tuple[str, ...] = ("local",)
    max_per_person: int = 5000
    quarantined: tuple[str, ...] = ()
    teacher: CrossEncoder | None = None
    """Cleans tier 3's negatives in addition to the rules, and gives the scores for `towers.distil`."""
