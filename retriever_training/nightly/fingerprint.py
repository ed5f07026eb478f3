"""Finds the night that a snapshot belongs to, so that equal judgments train once and a killed night goes on."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from rag.versions.registry import Version
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.measuring.held_out import HeldOutQuestions
from retriever_training.nightly.choose_tier import TierChoice
from retriever_training.tiers.night_plan import NightPlan
from retriever_training.versions.night_store import NightRecord, NightStore

TRAINING_CODE_VERSION = 4  # raise it when the same judgments would make another candidate, so that they are tried again


def find_or_start_night(
    nights: NightStore,
    evidence: TrainingSnapshot,
    held_out: HeldOutQuestions,
    plan: NightPlan,
    choice: TierChoice,
    current: Version,
) -> NightRecord:
    """Returns the night of this snapshot and plan: one that ended, one that was cut off, or a new one."""
    taught_by = {"teacher": plan.teacher.cross_encoder_id} if plan.teacher else {}
    parameters = json.dumps(
        {
            "query_tower": asdict(plan.query_tower),
            "towers": asdict(plan.towers),
            "rules": asdict(plan.rules),
            "newest": np.flatnonzero(held_out.newest).tolist(),
            "cold_start": choice.is_cold_start,
            **taught_by,
        },
        sort_keys=True,
    )
    fingerprint = evidence.fingerprint(TRAINING_CODE_VERSION, choice.tier, parameters)
    known = nights.latest(fingerprint)
    if known is not None and not _is_outdated(known, current):
        return known
    return nights.start(fingerprint, choice.tier)


def _is_outdated(night: NightRecord, current: Version) -> bool:
    """Whether the night kept a version that has been replaced since, so that its candidate has a different one to beat."""
    return night.summary is not None and night.decision == "kept" and night.summary.previous != current.encoder_id
