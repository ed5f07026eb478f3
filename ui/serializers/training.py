"""The JSON of versions, nights and reviews: one place for `--json` and for the REST interface."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from retriever_training.negatives.reasons import load_note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rag.records import Passage
    from retriever_training.inspection.doubtful_negatives import DoubtfulNegative
    from retriever_training.judgments.reviews import Review
    from retriever_training.versions.night_store import NightRecord
    from retriever_training.versions.timeline import TimelineEntry
    from ui.actions.training_admin import NightReadiness, RunningNight


def version_json(entry: TimelineEntry) -> dict[str, Any]:
    """Returns one version: its standing, its parent, its promotions, and the space that it takes."""
    version = entry.version
    return {
        "version": version.encoder_id,
        "standing": entry.standing,
        "tier": version.tier,
        "parent": version.parent_id,
        "passage_side": version.passage_side,
        "lexical_weight": version.lexical_weight,
        "created_at": version.created_at.isoformat(),
        "note": load_note(version.note),
        "has_files": entry.has_files,
        "space": asdict(entry.space),
        "promotions": [
            {"kind": promotion.kind, "reason": promotion.reason, "at": promotion.promoted_at.isoformat()}
            for promotion in entry.promotions
        ],
        "night": entry.night.night_id if entry.night else None,
    }


def night_json(night: NightRecord) -> dict[str, Any]:
    """Returns one night: its stage, how it ended, and why."""
    summary = night.summary
    return {
        "night_id": night.night_id,
        "tier": night.tier,
        "stage": night.stage,
        "decision": night.decision,
        "version": night.candidate_id,
        "started_at": night.started_at.isoformat(),
        "finished_at": night.finished_at.isoformat() if night.finished_at else None,
        "reasons": list(summary.reasons) if summary else [],
        "figures": summary.figures if summary else None,
        "n_judgments": summary.n_judgments if summary else None,
        "seconds": summary.seconds if summary else None,
        "steps": [asdict(step) | {"began_at": step.began_at.isoformat()} for step in night.steps],
    }


def running_night_json(running: RunningNight | None) -> dict[str, Any] | None:
    """Returns the night that runs; None if none does."""
    if running is None:
        return None
    return {
        "pid": running.pid,
        "began_at": running.began_at.isoformat() if running.began_at else None,
        "night": night_json(running.night) if running.night else None,
    }


def night_readiness_json(outlook: NightReadiness) -> dict[str, Any]:
    """Returns whether a night could learn now, and what each tier is expected to take."""
    data = outlook.sufficiency
    return {
        "is_enough": data.is_sufficient,
        "n_judged": data.n_judged,
        "n_wanted": data.n_needed,
        "train": {"n": data.n_train, "needed": data.min_train},
        "held_out": {"n": data.n_held_out, "needed": data.min_held_out},
        "from_own": data.is_cold_start,
        "missing": list(data.missing()),
        "tiers": {wanted: asdict(forecast) for wanted, forecast in outlook.forecasts.items()},
    }


def doubtful_negative_json(doubt: DoubtfulNegative, passages: Mapping[str, Passage]) -> dict[str, Any]:
    """Returns a doubtful negative; passages that were removed meanwhile have no text."""
    return {
        "question": doubt.question,
        "passage": _passage_json(doubt.passage_id, passages),
        "right": [_passage_json(passage_id, passages) for passage_id in doubt.right],
        "kind": doubt.kind,
        "why": doubt.why,
        "margin": doubt.margin,
    }


def review_json(review: Review) -> dict[str, Any]:
    """Returns one decision."""
    return {
        "question": review.question,
        "passage_id": review.passage_id,
        "decision": review.decision,
        "user": review.user,
        "decided_at": review.decided_at.isoformat(),
    }


def _passage_json(passage_id: str, passages: Mapping[str, Passage]) -> dict[str, Any]:
    passage = passages.get(passage_id)
    if passage is None:
        return {"passage_id": passage_id, "source": None, "title": None, "text": None}
    return {"passage_id": passage.public_id, "source": passage.source, "title": passage.title, "text": passage.text}
