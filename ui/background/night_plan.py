"""The plan of a night, made from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.settings import Settings
    from retriever_training.tiers.night_plan import NightPlan

DISTILLATION_WEIGHT = 0.5  # the weight of a teacher's scores next to that of the labels


def build_night_plan(settings: Settings) -> NightPlan:
    """Makes the plan of a night from the settings.

    Raises:
        EncoderError: the folder that is set as teacher holds no cross-encoder.
        UsageError: a source of negatives is unknown, or there are no easier negatives to begin with.
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
            f"night.easy_first draws from the easier negatives of night.pool, and {night.pool} for {night.negatives} a row "
            f"leave no choice: set night.pool to {4 * max(night.negatives, 1)}, say, or night.easy_first to false"
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
