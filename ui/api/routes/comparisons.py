"""REST: two versions on one question, side by side: by their names, or blind, for a person who says which is better."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from eval.statistics.sign_test import told
from rag.answering.answerer import checked
from rag.app.app import App
from rag.insights.blind_comparisons import Blind, Comparisons, are_alike, moves
from rag.versions.registry import Version
from ui.actions.compare import SHOWN, hits_of, names, two_versions
from ui.auth.current_user import person_of
from ui.background.startup import Opening
from ui.serializers.insights import preferred_json, ranking_json

Id = Annotated[str, Field(min_length=1, max_length=200)]
K = Annotated[int, Field(ge=1, le=100)]


class Pair(BaseModel):
    """Two versions, and what to ask them; left out, the one before the current version, and the current one."""

    model_config = ConfigDict(extra="forbid")

    question: str
    a: Id | None = None
    b: Id | None = None


class ToCompare(Pair):
    """What is to be compared, without knowing which version is which."""

    k: K = SHOWN


class Compared(Pair):
    """Which side is better: the rest as it came with the two rankings."""

    a: Id
    b: Id
    token: Id
    better: Literal["left", "right", "equal"]


def add_comparing(api: FastAPI, opening: Opening) -> None:
    """Adds these calls."""

    @api.get("/api/compare")
    def compare(
        request: Request, question: str, a: Id | None = None, b: Id | None = None,
        k: Annotated[int, Query(ge=1, le=100)] = SHOWN,
    ) -> dict[str, Any]:  # fmt: skip
        """Two versions on one question, by name; each hit with its rank in the other one."""
        person_of(request)
        app = opening.app()
        first, second = two_versions(app, a, b)
        asked = checked(question)
        hits, others = hits_of(app, first, asked, k), hits_of(app, second, asked, k)
        return {
            "question": asked,
            "a": _named(app, first) | {"hits": ranking_json(moves(hits, others))},
            "b": _named(app, second) | {"hits": ranking_json(moves(others, hits))},
            "preferred": _preferred(app, first, second),
        }

    _add_blind(api, opening)


def _add_blind(api: FastAPI, opening: Opening) -> None:
    @api.post("/api/compare")
    def begin(request: Request, wanted: ToCompare) -> dict[str, Any]:
        """Two rankings, left and right, that do not say which version is which; send back which one is better."""
        person = person_of(request)
        person.must("voter")
        app, question = opening.app(), checked(wanted.question)
        first, second = two_versions(app, wanted.a, wanted.b)
        comparisons = Comparisons(app.engine, app.feedback)
        blind = comparisons.begin(question, first.encoder_id, second.encoder_id)
        left, right = (
            hits_of(app, app.registry.version(one), question, wanted.k) for one in (blind.left_id, blind.right_id)
        )
        told_pair = sorted((first.encoder_id, second.encoder_id))
        return {
            "comparison_id": blind.comparison_id,
            "token": comparisons.token(blind, person.name),
            "question": question,
            "a": told_pair[0],
            "b": told_pair[1],
            "alike": are_alike(left, right),
            "left": ranking_json(moves(left, right)),
            "right": ranking_json(moves(right, left)),
        }

    @api.post("/api/compare/{comparison_id}")
    def end(request: Request, comparison_id: Id, said: Compared) -> dict[str, Any]:
        """Keeps which side is better, and reveals which version was which."""
        person = person_of(request)
        person.must("voter")
        app = opening.app()
        comparisons = Comparisons(app.engine, app.feedback)
        blind = comparisons.resume(comparison_id, said.question, said.a, said.b)
        comparisons.check_token(blind, person.name, said.token)
        comparisons.record(blind, person.name, said.better)
        return _revealed(app, blind)


def _revealed(app: App, blind: Blind) -> dict[str, Any]:
    left, right = app.registry.version(blind.left_id), app.registry.version(blind.right_id)
    return {"left": _named(app, left), "right": _named(app, right), "preferred": _preferred(app, left, right)}


def _named(app: App, version: Version) -> dict[str, Any]:
    return {"version": version.encoder_id, "name": names(app)[version.encoder_id]}


def _preferred(app: App, first: Version, second: Version) -> dict[str, Any]:
    found = Comparisons(app.engine, app.feedback).preferred(first.encoder_id, second.encoder_id)
    called = names(app)
    sentence = told(found, called[first.encoder_id], called[second.encoder_id])
    return preferred_json(found, first.encoder_id, second.encoder_id) | {"told": sentence}
