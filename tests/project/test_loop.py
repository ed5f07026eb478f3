"""The whole circle with the real encoder and the real Chroma: ask, vote, a night, promoted, ask again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.app.app import App, open_app
from rag.settings import Settings
from retriever_training.nightly.run_night import run_night
from retriever_training.tiers.night_plan import NightPlan
from tests.fixtures import jargon

QUESTION = "How do I reset the camera to factory settings?"


@pytest.fixture
def app(manuals: Path) -> Iterator[App]:
    """An application that serves, over the library of manuals."""
    opened = open_app(Settings(data=manuals), serve=True)
    yield opened
    opened.close()


def rank_of(app: App, question: str, external_id: str) -> int:
    """1-based; 1000 where the passage is not among the first hundred."""
    hits = app.retriever.search(question, k=100)
    return next((hit.rank for hit in hits if hit.passage.external_id == external_id), 1000)


def test_votes_of_the_day_move_the_right_passage_up_overnight(app: App) -> None:
    """Fails if votes had no effect: without them the same question finds the wrong code name."""
    right = jargon.questions()
    before = app.answerer.answer(QUESTION, user="ann")
    rank_before = rank_of(app, QUESTION, right[QUESTION])
    assert rank_before > 1
    jargon.vote(app, {question: answer for question, answer in right.items() if question != QUESTION})

    summary = run_night(app.stores, NightPlan(tier="1"))

    assert summary.decision == "promoted"
    assert summary.n_passages_encoded == 0, "a query map shares the base's vectors"
    assert app.refresh(), "a running application takes the promotion in"
    after = app.answerer.answer(QUESTION, user="ann")
    assert after.encoder_id == summary.version != before.encoder_id
    assert rank_of(app, QUESTION, right[QUESTION]) < rank_before
    assert app.feedback.turn(after.turn_id).shown[0].passage_id == after.hits[0].passage.passage_id

    app.registry.rollback()
    app.refresh()
    assert rank_of(app, QUESTION, right[QUESTION]) == rank_before


def test_votes_for_random_passages_promote_nothing(app: App) -> None:
    right = jargon.questions()
    passages = list(right.values())
    random.Random(5).shuffle(passages)
    jargon.vote(app, dict(zip(right, passages, strict=True)))

    summary = run_night(app.stores, NightPlan(tier="1"))

    assert summary.decision == "kept"
    assert app.current().tier == 0
    asked = app.retriever_for(summary.version).search(QUESTION)
    assert asked, "the refused candidate can be looked at"


def test_a_night_without_votes_says_that_there_is_too_little(app: App) -> None:
    summary = run_night(app.stores, NightPlan(tier="1"))

    assert summary.decision == "invalid"
    assert "0 training questions" in summary.reasons[0]


def test_the_same_votes_are_not_learnt_from_twice(app: App) -> None:
    jargon.vote(app, jargon.questions())
    first = run_night(app.stores, NightPlan(tier="1"))
    again = run_night(app.stores, NightPlan(tier="1"))

    assert again.repeated
    assert again.version == first.version
    assert len(app.registry.history()) == 2  # the base's installation, and one promotion
