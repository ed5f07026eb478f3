"""What the settings say of a night, as the plan that training takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.settings import Settings
    from retriever_training.tiers.night_plan import NightPlan

DISTILLATION_WEIGHT = 0.5  # of a teacher's scores next to the labels', if there is a teacher


def build_night_plan(settings: Settings) -> NightPlan:
    """What the settings say of a night.

    Raises:
        EncoderError: the folder that they name as teacher is no cross-encoder.
        UsageError: one of the sources of negatives is none, or there are no easier ones to begin with.
    """
    from eval.gate.rules import GateRules
    from rag.errors import UsageError
    from rag.retrieval.cross_encoder import CrossEncoder
    from retriever_training.negatives.finders import check_sources
    from retriever_training.tiers.night_plan import NightPlan
    from retriever_training.tiers.tier3_both_towers import TowersPlan

    night, gate = settings.night, settings.gate
    check_sources(night.sources)
    if night.easy_first and night.pool <= night.negatives:
        raise UsageError(
            f"night.easy_first draws from the easier ones of night.pool, and {night.pool} for the {night.negatives} a row "
            f"leaves no choice: set night.pool to {4 * max(night.negatives, 1)}, say, or night.easy_first to false"
        )
    return NightPlan(
        tier=night.tier,
        max_minutes=night.max_minutes,
        cold_start=night.cold_start,
        towers=TowersPlan(
            epochs=night.epochs,
            batch_size=night.batch_size,
            learning_rate=night.learning_rate,
            seed=night.seed,
            sources=night.sources,
            n_negatives=night.negatives,
            pool=night.pool,
            easy_first=night.easy_first,
            rounds=night.rounds,
            distil=DISTILLATION_WEIGHT if night.teacher else 0.0,
        ),
        keep_refused=night.keep_refused,
        rules=GateRules(**gate.model_dump()),
        trusted=settings.feedback.trusted,
        max_per_person=settings.feedback.max_judgments_per_person,
        quarantined=settings.feedback.quarantined,
        teacher=CrossEncoder(night.teacher, threads=settings.encoder.threads) if night.teacher else None,
    )
