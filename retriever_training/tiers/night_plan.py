"""What a person decides of a night before it runs."""

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
    """Whether a library's own questions train if people gave too few."""
    query_tower: QueryTowerPlan = field(default_factory=QueryTowerPlan)
    towers: TowersPlan = field(default_factory=TowersPlan)
    keep_refused: int = 1
    """Candidates turned down last that keep their files and vectors; decides nothing."""
    rules: GateRules = field(default_factory=GateRules)
    trusted: tuple[str, ...] = ("local",)
    max_per_person: int = 5000
    quarantined: tuple[str, ...] = ()
    teacher: CrossEncoder | None = None
    """Cleans tier 3's negatives next to the rules, and gives the scores for `towers.distil`."""
