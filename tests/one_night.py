"""A library whose people voted, and which a night has learnt from: what the tests of insights look at."""

from __future__ import annotations

from pathlib import Path

from rag.assemble import open_app
from rag.settings import Settings
from retriever_training.night_plan import NightPlan
from retriever_training.nightly import run_night
from tests import jargon

ASKED = "How do I reset the camera to factory settings?"
"""Before the night, on which "local" pinned the right passage."""
REJECTED = "How do I reset the printer to factory settings?"
"""Before the night; "ann", whom nobody knows to be right, alone rejected the first passage."""
LATER = "Who repairs the drone near me?"
"""After the night; "local" pinned the last passage that was shown."""


def live_through_it(data: Path) -> None:
    """Ask, vote, sleep, and ask once more."""
    app = open_app(Settings(data=data))
    try:
        right = jargon.questions()
        ids = app.library.resolve(right.values())
        asked = app.answerer.answer(ASKED, user="local")
        app.feedback.give("local", asked.turn_id, ids[right[ASKED]], "pin")
        rejected = app.answerer.answer(REJECTED, user="ann")
        app.feedback.give("ann", rejected.turn_id, rejected.hits[0].passage.passage_id, "not_relevant")
        jargon.vote(app, {question: answer for question, answer in right.items() if question not in (ASKED, REJECTED)})
        assert run_night(app, NightPlan(tier="1"))["decision"] == "promoted"
        app.refresh()
        later = app.answerer.answer(LATER, user="local")
        app.feedback.give("local", later.turn_id, later.hits[-1].passage.passage_id, "pin")
    finally:
        app.close()
