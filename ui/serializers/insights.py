"""The JSON shapes of insights: one place for `--json` and for the REST interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eval.statistics.sign_test import sign_test_p
from rag.insights.blind_comparisons import MovedHit, PreferenceCounts
from rag.insights.usage_over_time import UsageOverTime, UsagePeriod
from rag.retrieval.retriever import SearchResult
from retriever_training.inspection.judged_ranks import BEYOND_DEPTH
from retriever_training.inspection.vote_effects import VoteEffect
from ui.actions.vote_effects import VoteEffectsSummary
from ui.serializers.answers import search_result_json
from ui.texts.reasons import describe_exclusion

EXCERPT_LENGTH = 200  # characters of a passage


def usage_over_time_json(found: UsageOverTime) -> dict[str, Any]:
    """What `nightjar insights --json` prints; shares are 0 to 1, and null if nothing was kept."""
    return {
        "days": found.days,
        "kept_since": str(found.kept_since) if found.kept_since else None,
        "whole": _stretch_json(found.whole),
        "before": _stretch_json(found.before),
        "stretches": [_stretch_json(period) for period in found.periods],
    }


def _stretch_json(one: UsagePeriod) -> dict[str, Any]:
    told = asdict(one) | {"answered_share": one.answered_share}
    return told | {"first": str(one.first), "last": str(one.last)}


def vote_effects_json(look: VoteEffectsSummary, names: Mapping[str, str]) -> dict[str, Any]:
    """What `nightjar votes --json` prints; *names* are those of the versions. Nobody's name is told."""
    return {
        "n_votes": look.n_votes,
        "n_looked_at": look.n_looked_at,
        "summary": look.counts,
        "votes": [_effect_json(effect, names) for effect in look.effects],
    }


def _effect_json(one: VoteEffect, names: Mapping[str, str]) -> dict[str, Any]:
    passage, cast = one.passage, one.cast
    return {
        "question": cast.question,
        "passage_id": passage.public_id if passage else cast.passage_id,
        "title": passage.title if passage else None,
        "text": passage.text[:EXCERPT_LENGTH] if passage else None,
        "verdict": cast.verdict,
        "n_people": cast.n_votes,
        "given_at": cast.given_at.isoformat(),
        "rank_shown": cast.shown_rank,
        "rank_before": _rank_json(one.before),
        "rank_now": _rank_json(one.now),
        "outcome": one.outcome,
        "why": one.why.code if one.why else "",
        "why_text": describe_exclusion(one.why) if one.why else "",
        "held_out": one.is_held_out,
        "changed_in": names.get(one.moved_by) if one.moved_by else None,
        "versions": [
            {"version": step.encoder_id, "name": names.get(step.encoder_id), "rank": _rank_json(step.rank)}
            for step in one.steps
        ],
    }


def _rank_json(rank: int | None) -> int | str | None:
    """The rank; "beyond 100" for what is further down, null for what can't be told.

    >>> _rank_json(7), _rank_json(BEYOND_DEPTH), _rank_json(None)
    (7, 'beyond 100', None)
    """
    return f"beyond {BEYOND_DEPTH - 1}" if rank == BEYOND_DEPTH else rank


def ranking_json(moved: Sequence[MovedHit]) -> list[dict[str, Any]]:
    """Hits as `nightjar search --json` prints them, each with its rank in the other ranking."""
    hits = search_result_json(SearchResult([moved_hit.hit for moved_hit in moved]))["hits"]
    return [hit | {"rank_in_other": moved_hit.before} for hit, moved_hit in zip(hits, moved, strict=True)]


def preferences_json(found: PreferenceCounts, a: str, b: str) -> dict[str, Any]:
    """How often people preferred each of two versions, told by their ids; p of the exact binomial test."""
    return {
        a: found.n_first,
        b: found.n_second,
        "equal": found.n_equal,
        "p": sign_test_p(found.n_first, found.n_second),
    }
