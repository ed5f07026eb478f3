"""REST: two versions on one question, side by side: named, or blind for a person who says which is better."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from eval.statistics.sign_test import describe_preference
from rag.answering.answerer import check_question
from rag.app.app import App
from rag.insights.blind_comparisons import BlindComparison, BlindComparisons, are_same_ranking, rank_moves
from rag.versions.registry import Version
from ui.actions.compare import N_COMPARED_HITS, choose_two_versions, search_version, version_names
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.serializers.insights import preferences_json, ranking_json

VersionId = Annotated[str, Field(min_length=1, max_length=200)]
NHits = Annotated[int, Field(ge=1, le=100)]


class VersionPairRequest(BaseModel):
    """Two versions and a question for them; by default the version before the current one, and the current one."""

    model_config = ConfigDict(extra="forbid")

    question: str
    a: VersionId | None = None
    b: VersionId | None = None


class BlindComparisonRequest(VersionPairRequest):
    """A comparison in which nobody knows which version is which."""

    k: NHits = N_COMPARED_HITS


class PreferenceRequest(VersionPairRequest):
    """Which side is better, with the other values as they came with the two rankings."""

    a: VersionId
    b: VersionId
    token: VersionId
    better: Literal["left", "right", "equal"]


def add_comparison_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""

    @api.get("/api/compare")
    def compare(
        request: Request,
        question: str,
        a: VersionId | None = None,
        b: VersionId | None = None,
        k: Annotated[int, Query(ge=1, le=100)] = N_COMPARED_HITS,
    ) -> dict[str, Any]:
        """Compares two named versions on one question; each hit has its rank in the other ranking."""
        current_user(request)
        app = opening.app()
        first, second = choose_two_versions(app, a, b)
        asked = check_question(question)
        hits, others = search_version(app, first, asked, k), search_version(app, second, asked, k)
        return {
            "question": asked,
            "a": _named(app, first) | {"hits": ranking_json(rank_moves(hits, others))},
            "b": _named(app, second) | {"hits": ranking_json(rank_moves(others, hits))},
            "preferred": _preferred(app, first, second),
        }

    _add_blind(api, opening)


def _add_blind(api: FastAPI, opening: AppStartup) -> None:
    @api.post("/api/compare")
    def begin(request: Request, wanted: BlindComparisonRequest) -> dict[str, Any]:
        """Returns two rankings, left and right, without saying which version is which; send back which one is better."""
        person = current_user(request)
        person.require_role("voter")
        app, question = opening.app(), check_question(wanted.question)
        first, second = choose_two_versions(app, wanted.a, wanted.b)
        comparisons = BlindComparisons(app.engine, app.feedback)
        blind = comparisons.begin(question, first.encoder_id, second.encoder_id)
        left, right = (
            search_version(app, app.registry.version(version_id), question, wanted.k)
            for version_id in (blind.left_id, blind.right_id)
        )
        sorted_ids = sorted((first.encoder_id, second.encoder_id))
        return {
            "comparison_id": blind.comparison_id,
            "token": comparisons.token(blind, person.name),
            "question": question,
            "a": sorted_ids[0],
            "b": sorted_ids[1],
            "alike": are_same_ranking(left, right),
            "left": ranking_json(rank_moves(left, right)),
            "right": ranking_json(rank_moves(right, left)),
        }

    @api.post("/api/compare/{comparison_id}")
    def end(request: Request, comparison_id: VersionId, preference: PreferenceRequest) -> dict[str, Any]:
        """Keeps which side is better, and reveals which version was which."""
        person = current_user(request)
        person.require_role("voter")
        app = opening.app()
        comparisons = BlindComparisons(app.engine, app.feedback)
        blind = comparisons.resume(comparison_id, preference.question, preference.a, preference.b)
        comparisons.check_token(blind, person.name, preference.token)
        comparisons.record(blind, person.name, preference.better)
        return _revealed(app, blind)


def _revealed(app: App, blind: BlindComparison) -> dict[str, Any]:
    left, right = app.registry.version(blind.left_id), app.registry.version(blind.right_id)
    return {"left": _named(app, left), "right": _named(app, right), "preferred": _preferred(app, left, right)}


def _named(app: App, version: Version) -> dict[str, Any]:
    return {"version": version.encoder_id, "name": version_names(app)[version.encoder_id]}


def _preferred(app: App, first: Version, second: Version) -> dict[str, Any]:
    counts = BlindComparisons(app.engine, app.feedback).preferred(first.encoder_id, second.encoder_id)
    names = version_names(app)
    sentence = describe_preference(counts, names[first.encoder_id], names[second.encoder_id])
    return preferences_json(counts, first.encoder_id, second.encoder_id) | {"told": sentence}
