"""What people decide of doubtful negatives, and that the night follows it: on real votes, vectors and passages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.accounts.erasure import erase_user_data
from rag.app.app import App, open_app
from rag.embedding.query_vectors import get_query_vectors
from rag.errors import NotFoundError, UsageError
from rag.records import Turn, Verdict, utc_now
from rag.settings import Settings
from retriever_training.judgments.reviews import ReviewStore
from retriever_training.judgments.snapshot import TrainingSnapshot, load_snapshot
from retriever_training.judgments.splits import split_of
from retriever_training.negatives.candidates.records import VersionView
from retriever_training.progress import no_progress
from retriever_training.tiers.learn_tier3 import mine_training_rows
from retriever_training.tiers.query_side_data import QuerySideData
from retriever_training.tiers.tier3_both_towers import TowersPlan
from tests.fixtures import jargon

RIGHT = jargon.questions()
TRAIN = [question for question in RIGHT if split_of(question) == "train"]
QUESTION, OTHER = TRAIN[0], TRAIN[1]
HELD_OUT = next(question for question in RIGHT if split_of(question) == "gate")


@pytest.fixture
def app(manuals: Path) -> Iterator[App]:
    """Twenty people pinned the right passages; Zoe alone rejected the one of OTHER for QUESTION."""
    opened = open_app(Settings(data=manuals))
    jargon.vote(opened, RIGHT)
    opened.feedback.record_turns(
        [
            Turn(
                turn_id="zoe-1",
                conversation_id="c",
                user="zoe",
                question=QUESTION,
                answer="",
                declined=False,
                encoder_id="",
                asked_at=utc_now(),
            )
        ]
    )
    opened.feedback.append(
        [
            Verdict(
                user="zoe",
                turn_id="zoe-1",
                question=QUESTION,
                passage_id=passage(opened, OTHER),
                verdict="not_relevant",
            )
        ]
    )
    yield opened
    opened.close()


def passage(app: App, question: str) -> str:
    """The id of the passage that is right for the question."""
    return app.library.resolve([RIGHT[question]])[RIGHT[question]]


def gathered(app: App, trusted: tuple[str, ...] = (), quarantined: tuple[str, ...] = ()) -> TrainingSnapshot:
    return load_snapshot(app.stores, trusted=trusted, max_per_person=1000, quarantined=quarantined)


def rejected(evidence: TrainingSnapshot, question: str = QUESTION) -> list[str]:
    train = evidence.asked("train")
    return [evidence.passage_ids[row] for row in train.rejected[train.questions.index(question)]]


def mined(app: App, evidence: TrainingSnapshot) -> tuple[dict[str, set[str]], dict[str, int]]:
    """question → passages that the night would push away, and what was removed by reason; 40 random ones a row, so of
    288 passages each is hit somewhere."""
    base = app.open_encoder()
    asked = evidence.asked("train").questions
    view = VersionView("the base", get_query_vectors(app.engine, base, asked), evidence.matrix(app.vectors()))
    plan = TowersPlan(sources=("feedback", "dense", "bm25", "random"), n_negatives=40)
    _, rows, removed = mine_training_rows(evidence, [view], plan, no_progress)
    return {
        row.question: {evidence.passage_ids[negative.passage] for negative in row.negatives} for row in rows
    }, removed


def test_a_rejection_of_one_stranger_waits_until_it_is_confirmed(app: App) -> None:
    before = gathered(app)
    assert rejected(before) == []
    assert before.judgments.dropped == {"rejected_by_one_person": 1}
    ReviewStore(app.engine).decide(QUESTION, passage(app, OTHER), "negative", "admin")
    after = gathered(app)
    assert rejected(after) == [passage(app, OTHER)]
    assert after.judgments.dropped == {}
    assert passage(app, OTHER) in mined(app, after)[0][QUESTION]


def test_a_rejection_that_counts_goes_where_a_review_says_that_it_is_none(app: App) -> None:
    trusted = ("zoe",)
    assert rejected(gathered(app, trusted)) == [passage(app, OTHER)]
    ReviewStore(app.engine).decide(QUESTION, passage(app, OTHER), "not_negative", "admin")
    after = gathered(app, trusted)
    assert rejected(after) == []
    assert after.judgments.dropped == {"reviewed_not_negative": 1}


def test_what_was_reviewed_as_no_negative_is_mined_no_more_and_counted_by_its_reason(app: App) -> None:
    before, _ = mined(app, gathered(app))
    spared = sorted(before[QUESTION])[0]
    ReviewStore(app.engine).decide(QUESTION, spared, "not_negative", "admin")
    after, removed = mined(app, gathered(app))
    assert spared not in after[QUESTION]
    assert removed["reviewed_not_negative"] >= 1
    assert any(spared in negatives for negatives in after.values()), "for other questions it stays one"


def test_tiers_1_and_2_do_not_push_it_away_either(app: App) -> None:
    def masked(evidence: TrainingSnapshot) -> set[int]:
        base = app.open_encoder()
        side = QuerySideData.of(
            evidence, lambda texts: get_query_vectors(app.engine, base, texts), evidence.matrix(app.vectors()), 0.25, 13
        )
        place = list(side.rows.question_of).index(side.questions.index(QUESTION))
        return set(side.rows.masked[place].tolist())

    evidence = gathered(app)
    row = evidence.row[passage(app, OTHER)]
    assert row not in masked(evidence)
    ReviewStore(app.engine).decide(QUESTION, passage(app, OTHER), "not_negative", "admin")
    assert row in masked(gathered(app))


def test_a_review_makes_another_night_and_the_latest_one_stands(app: App) -> None:
    reviews, target = ReviewStore(app.engine), passage(app, OTHER)
    untouched = gathered(app).fingerprint()
    reviews.decide(QUESTION, target, "not_negative", "admin")
    assert gathered(app).fingerprint() != untouched
    reviews.decide(QUESTION, target, "skip", "admin")
    assert [review.decision for review in reviews.standing()] == ["skip"]
    assert gathered(app).fingerprint() == untouched


def test_no_review_moves_what_versions_are_measured_on(app: App) -> None:
    before = gathered(app)
    for question in (HELD_OUT, QUESTION):
        ReviewStore(app.engine).decide(
            question, passage(app, HELD_OUT if question == HELD_OUT else QUESTION), "negative", "admin"
        )
    after = gathered(app)
    assert after.held_out("gate") == before.held_out("gate")
    assert after.fingerprint() == before.fingerprint(), "what people call right stays right"


def test_who_is_quarantined_decides_nothing(app: App) -> None:
    ReviewStore(app.engine).decide(QUESTION, passage(app, OTHER), "negative", "mallory")
    assert rejected(gathered(app, quarantined=("mallory",))) == []


def test_only_questions_that_were_asked_and_passages_that_are_there_are_reviewed(app: App) -> None:
    reviews = ReviewStore(app.engine)
    with pytest.raises(NotFoundError, match="nobody asked"):
        reviews.decide("Who asked this?", passage(app, OTHER), "negative", "admin")
    with pytest.raises(NotFoundError, match="no passage 'nowhere'"):
        reviews.decide(QUESTION, "nowhere", "negative", "admin")
    with pytest.raises(UsageError, match="negative, not_negative, skip"):
        reviews.decide(QUESTION, passage(app, OTHER), "maybe", "admin")


def test_a_forgotten_reviewer_leaves_the_night_as_if_they_had_decided_nothing(app: App) -> None:
    untouched = gathered(app).fingerprint()
    reviews = ReviewStore(app.engine)
    reviews.decide(QUESTION, passage(app, OTHER), "negative", "bob")
    reviews.decide(QUESTION, passage(app, OTHER), "not_negative", "eve")
    assert erase_user_data(app.engine, "eve").n_reviews == 1
    assert [review.user for review in reviews.standing()] == ["bob"], "what stood before stands again"
    erase_user_data(app.engine, "bob")
    assert gathered(app).fingerprint() == untouched


def test_reviews_of_a_question_that_only_a_forgotten_person_asked_go_with_it(app: App) -> None:
    app.feedback.record_turns(
        [
            Turn(
                turn_id="eve-1",
                conversation_id="c",
                user="eve",
                question="what does eve do",
                answer="",
                declined=False,
                encoder_id="",
                asked_at=utc_now(),
            )
        ]
    )
    ReviewStore(app.engine).decide("what does eve do", passage(app, OTHER), "negative", "admin")
    ReviewStore(app.engine).decide(QUESTION, passage(app, OTHER), "negative", "admin")
    assert erase_user_data(app.engine, "eve", dry_run=True).n_reviews == 1
    assert erase_user_data(app.engine, "eve").n_reviews == 1
    assert [review.question for review in ReviewStore(app.engine).standing()] == [QUESTION]


def test_reviews_of_a_passage_go_with_its_document(app: App) -> None:
    ReviewStore(app.engine).decide(QUESTION, passage(app, OTHER), "negative", "admin")
    app.removal.below(f"manuals/{RIGHT[OTHER]}")
    assert ReviewStore(app.engine).standing() == []


def test_negatives_of_a_held_out_question_are_nobodys_to_teach(app: App) -> None:
    before = gathered(app).asked("gate")
    ReviewStore(app.engine).decide(HELD_OUT, passage(app, OTHER), "negative", "admin")
    after = gathered(app).asked("gate")
    assert (after.rejected, after.given_at) == (before.rejected, before.given_at)
    assert not np.any(after.newest() != before.newest())
