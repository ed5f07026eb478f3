"""The JSON of usage, votes and comparisons: one place for `--json` and for the REST interface."""

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

EXCERPT_LENGTH = 200  # how many characters of a passage are shown


def usage_over_time_json(usage: UsageOverTime) -> dict[str, Any]:
    """Returns what `nightjar insights --json` prints; shares are 0 to 1, or null if nothing was kept."""
    return {
        "days": usage.days,
        "kept_since": str(usage.kept_since) if usage.kept_since else None,
        "whole": _period_json(usage.whole),
        "before": _period_json(usage.before),
        "stretches": [_period_json(period) for period in usage.periods],
    }


def _period_json(period: UsagePeriod) -> dict[str, Any]:
    fields = asdict(period) | {"answered_share": period.answered_share}
    return fields | {"first": str(period.first), "last": str(period.last)}


def vote_effects_json(look: VoteEffectsSummary, names: Mapping[str, str]) -> dict[str, Any]:
    """Returns what `nightjar votes --json` prints, without names of people; *names* are those of the versions."""
    return {
        "n_votes": look.n_votes,
        "n_looked_at": look.n_looked_at,
        "summary": look.counts,
        "votes": [_effect_json(effect, names) for effect in look.effects],
    }


def _effect_json(effect: VoteEffect, names: Mapping[str, str]) -> dict[str, Any]:
    passage, cast = effect.passage, effect.cast
    return {
        "question": cast.question,
        "passage_id": passage.public_id if passage else cast.passage_id,
        "title": passage.title if passage else None,
        "text": passage.text[:EXCERPT_LENGTH] if passage else None,
        "verdict": cast.verdict,
        "n_people": cast.n_votes,
        "given_at": cast.given_at.isoformat(),
        "rank_shown": cast.shown_rank,
        "rank_before": _rank_json(effect.before),
        "rank_now": _rank_json(effect.now),
        "outcome": effect.outcome,
        "why": effect.why.code if effect.why else "",
        "why_text": describe_exclusion(effect.why) if effect.why else "",
        "held_out": effect.is_held_out,
        "changed_in": names.get(effect.moved_by) if effect.moved_by else None,
        "versions": [
            {"version": step.encoder_id, "name": names.get(step.encoder_id), "rank": _rank_json(step.rank)}
            for step in effect.steps
        ],
    }


def _rank_json(rank: int | None) -> int | str | None:
    """Returns the rank; "beyond 100" for a lower one, null for an unknown effect.

    >>> _rank_json(7), _rank_json(BEYOND_DEPTH), _rank_json(None)
    (7, 'beyond 100', None)
    """
    return f"beyond {BEYOND_DEPTH - 1}" if rank == BEYOND_DEPTH else rank


def ranking_json(moved: Sequence[MovedHit]) -> list[dict[str, Any]]:
    """Returns hits as `nightjar search --json` prints them, each with its rank in the other ranking."""
    hits = search_result_json(SearchResult([moved_hit.hit for moved_hit in moved]))["hits"]
    return [hit | {"rank_in_other": moved_hit.before} for hit, moved_hit in zip(hits, moved, strict=True)]


def preferences_json(counts: PreferenceCounts, a: str, b: str) -> dict[str, Any]:
    """Returns how often people preferred each of two versions, by their ids, and p of the exact binomial test."""
    return {
        a: counts.n_first,
        b: counts.n_second,
        "equal": counts.n_equal,
        "p": sign_test_p(counts.n_first, counts.n_second),
    }
