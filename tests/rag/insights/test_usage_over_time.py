"""What is counted over time, worked out by hand, on both databases; and how comparisons are kept and summed up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest
from sqlalchemy import Engine, update

from eval.statistics.sign_test import describe_preference, sign_test_p
from rag.accounts.erasure import erase_user_data
from rag.database.schema import turns
from rag.errors import UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.insights.blind_comparisons import BlindComparisons, MovedHit, PreferenceCounts, are_same_ranking, rank_moves
from rag.insights.usage_over_time import split_into_periods, usage_over_time
from rag.records import Hit, Passage, Turn
from rag.versions.registry import Promotion
from rag.versions.version_labels import full_version_name, version_name, version_numbers
from tests.rag.database.test_schema import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]  # fixtures of the other file
TODAY = date(2026, 11, 25)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Engine]:
    return request.getfixturevalue("engine" if request.param == "sqlite" else "postgres")


def ask(engine: Engine, name: str, at: str, *, declined: bool = False, origin="asked", **details: float) -> None:
    """One turn; *details* are kept with it as the chat keeps them."""
    turn = Turn(
        turn_id=name,
        conversation_id=name,
        user="ann",
        question="q",
        answer="a",
        declined=declined,
        encoder_id="e",
        asked_at=datetime.fromisoformat(at).replace(tzinfo=UTC),
        origin=origin,
    )
    FeedbackStore(engine).record_turn(turn)
    if details:
        with engine.begin() as connection:
            kept = json.dumps(details | {"reason": "", "citations": [{"n": 1}]})
            connection.execute(update(turns).where(turns.c.turn_id == name).values(details=kept))


def test_a_week_is_counted_day_by_day(database: Engine) -> None:
    ask(database, "early", "2026-11-23T00:00:00", supported_share=1.0, seconds=0.2)
    ask(database, "late", "2026-11-23T23:59:59.999999", supported_share=0.5, seconds=0.4)
    ask(database, "declined", "2026-11-23T12:00:00", declined=True, supported_share=1.0, seconds=12.04)
    ask(database, "unkept", "2026-11-25T01:00:00")
    week = usage_over_time(database, 7, TODAY)
    assert [str(period.first) for period in week.periods] == [f"2026-11-{day}" for day in range(19, 26)]
    assert [period.n_asked for period in week.periods] == [0, 0, 0, 0, 3, 0, 1]
    monday = week.periods[4]
    assert (monday.n_declined, monday.n_checked, monday.supported_share) == (1, 2, 0.75)
    assert (monday.n_timed, monday.p50_s, monday.p95_s) == (3, 0.4, 12.0)
    assert week.periods[6].supported_share is None and week.periods[6].p50_s is None
    assert week.periods[0].answered_share is None


def test_counting_reports_its_days_up_to_all_of_them(database: Engine) -> None:
    ask(database, "1", "2026-11-20T08:00:00")
    steps: list[tuple[int, int]] = []
    usage_over_time(database, 7, TODAY, on_progress=lambda n_done, n_days: steps.append((n_done, n_days)))
    assert steps[-1] == (14, 14), "seven days, and as many before"
    assert steps == sorted(steps)


def test_the_whole_adds_up_and_says_since_when_support_is_kept(database: Engine) -> None:
    ask(database, "1", "2026-11-20T08:00:00")
    ask(database, "2", "2026-11-22T08:00:00", supported_share=0.0, seconds=1.0)
    ask(database, "3", "2026-11-25T08:00:00", supported_share=1.0, seconds=3.0)
    week = usage_over_time(database, 7, TODAY)
    assert (week.whole.n_asked, week.whole.n_checked, week.whole.supported_share) == (3, 2, 0.5)
    assert (week.whole.p50_s, week.whole.p95_s) == (1.0, 3.0)
    assert week.kept_since == date(2026, 11, 22)
    assert week.is_partly_kept


def test_where_everything_was_kept_nothing_is_said_to_be_missing(database: Engine) -> None:
    ask(database, "1", "2026-11-20T08:00:00", supported_share=0.0, seconds=0.0)
    week = usage_over_time(database, 7, TODAY)
    assert not week.is_partly_kept
    assert week.whole.p50_s == 0.0


def test_only_questions_of_people_count(database: Engine) -> None:
    for origin in ("imported", "simulated", "compared"):
        ask(database, origin, "2026-11-24T08:00:00", origin=origin)
    assert usage_over_time(database, 7, TODAY).whole.n_asked == 0


def test_the_days_before_are_as_many_and_end_where_the_others_begin(database: Engine) -> None:
    ask(database, "in", "2026-11-19T00:00:00")
    ask(database, "just before", "2026-11-18T23:59:59")
    ask(database, "first before", "2026-11-12T00:00:00")
    ask(database, "too early", "2026-11-11T23:59:59")
    week = usage_over_time(database, 7, TODAY)
    assert (week.whole.n_asked, week.before.n_asked) == (1, 2)


def test_ninety_days_are_told_by_week_without_a_gap(database: Engine) -> None:
    bounds = split_into_periods(90, TODAY)
    assert len(bounds) == 13
    assert all((after - last).days == 1 for (_, last), (after, _) in pairwise(bounds))
    ask(database, "1", "2026-11-18T23:00:00")
    ask(database, "2", "2026-11-19T01:00:00")
    assert [period.n_asked for period in usage_over_time(database, 90, TODAY).periods][-2:] == [1, 1]


def test_what_people_say_of_an_answer_now_counts_on_the_day_of_the_question(database: Engine) -> None:
    feedback = FeedbackStore(database)
    for name in ("liked", "changed", "taken back", "wrong"):
        ask(database, name, "2026-11-21T08:00:00")
    feedback.record_verdict("ann", "liked", None, "answer_helpful")
    feedback.record_verdict("bob", "liked", None, "answer_helpful")
    feedback.record_verdict("ann", "changed", None, "answer_helpful")
    feedback.record_verdict("ann", "changed", None, "answer_wrong_source")
    feedback.record_verdict("ann", "taken back", None, "answer_wrong")
    feedback.withdraw_verdict("ann", "taken back", None)
    feedback.record_verdict("ann", "wrong", None, "answer_wrong")
    week = usage_over_time(database, 7, TODAY)
    assert [(period.n_liked, period.n_disliked) for period in week.periods] == [(0, 0)] * 2 + [(2, 2)] + [(0, 0)] * 4


# ---- versions have short names


def test_versions_are_numbered_as_they_first_answered() -> None:
    at = datetime(2026, 11, 25, tzinfo=UTC)
    history = [
        Promotion(promotion_id=n, encoder_id=name, kind="promote", reason="", promoted_at=at)
        for n, name in ((3, "base"), (2, "second"), (1, "base"))
    ]
    numbers = version_numbers(history)
    assert numbers == {"base": 1, "second": 2}
    assert version_name("second", numbers) == "v2"
    assert version_name("0123456789ab", numbers) == "01234567"
    assert full_version_name("second", numbers) == "v2 · second"
    assert full_version_name("0123456789ab", numbers) == "01234567"


# ---- comparisons


def hits(*names: str) -> list[Hit]:
    return [
        Hit(
            passage=Passage(
                passage_id=name, document_id=name, source=name, title="", heading="", text=name, start=0, end=1
            ),
            rank=n,
            score=1.0,
            dense=1.0,
            lexical=0.0,
        )
        for n, name in enumerate(names, 1)
    ]


def test_moves_tell_what_came_up_went_down_and_is_new() -> None:
    found = rank_moves(hits("b", "a", "d"), hits("a", "b", "c"))
    assert [(period.hit.passage.passage_id, period.before, period.n_ranks_up) for period in found] == [
        ("b", 2, 1),
        ("a", 1, -1),
        ("d", None, 0),
    ]
    assert isinstance(found[0], MovedHit)
    assert are_same_ranking(hits("a", "b"), hits("a", "b"))
    assert not are_same_ranking(hits("a", "b"), hits("b", "a"))


@pytest.fixture
def comparisons(database: Engine) -> BlindComparisons:
    return BlindComparisons(database, FeedbackStore(database))


def test_the_sides_are_drawn_for_each_comparison_and_stay_as_they_are(comparisons: BlindComparisons) -> None:
    begun = [comparisons.begin("q", "v1", "v2") for _ in range(40)]
    assert {(job.left_id, job.right_id) for job in begun} == {("v1", "v2"), ("v2", "v1")}
    for job in begun:
        assert comparisons.resume(job.comparison_id, "q", "v2", "v1") == job


def test_a_token_belongs_to_its_person_and_question(comparisons: BlindComparisons) -> None:
    blind = comparisons.begin("q", "v1", "v2")
    token = comparisons.token(blind, "ann")
    comparisons.check_token(blind, "ann", token)
    with pytest.raises(UsageError, match="does not belong"):
        comparisons.check_token(blind, "bob", token)
    with pytest.raises(UsageError, match="does not belong"):
        comparisons.check_token(comparisons.resume(blind.comparison_id, "another", "v1", "v2"), "ann", token)


def test_what_people_prefer_is_summed_up_whatever_the_side(comparisons: BlindComparisons) -> None:
    for number in range(12):
        blind = comparisons.begin(f"question {number}", "v1", "v2")
        wanted = "v2" if number < 8 else "v1" if number < 11 else None
        comparisons.record(blind, "ann", {blind.left_id: "left", blind.right_id: "right", None: "equal"}[wanted])
    assert comparisons.preferred("v1", "v2") == PreferenceCounts(3, 8, 1)
    assert comparisons.preferred("v2", "v1") == PreferenceCounts(8, 3, 1)
    assert comparisons.preferred("v1", "v3") == PreferenceCounts(0, 0, 0)


def test_the_latest_word_of_a_person_on_a_question_stands_and_a_comparison_is_judged_once(
    comparisons: BlindComparisons,
) -> None:
    first = comparisons.begin("q", "v1", "v2")
    comparisons.record(first, "ann", "left")
    comparisons.record(first, "ann", "right")
    won = comparisons.preferred(first.left_id, first.right_id)
    assert (won.n_first, won.n_second) == (1, 0)
    again = comparisons.begin("q", "v1", "v2")
    comparisons.record(again, "ann", "equal")
    assert comparisons.preferred("v1", "v2") == PreferenceCounts(0, 0, 1)


def test_a_side_that_is_none_and_a_version_beside_itself_are_refused(comparisons: BlindComparisons) -> None:
    with pytest.raises(UsageError, match="'up' is no side"):
        comparisons.record(comparisons.begin("q", "v1", "v2"), "ann", "up")
    with pytest.raises(UsageError, match="compared with itself"):
        comparisons.begin("q", "v1", "v1")


def test_few_comparisons_say_that_they_are_few() -> None:
    """9 of 9 would have p = .004, but who stops when it looks good finds that by chance."""
    assert (
        describe_preference(PreferenceCounts(0, 9, 0), "v1", "v2")
        == "v2 was preferred 9 of 9 times; 10 are needed before it says anything."
    )
    assert "p = 0.002: chance alone seldom does that" in describe_preference(PreferenceCounts(0, 10, 0), "v1", "v2")
    assert sign_test_p(0, 10) == 2 / 2**10
    assert (
        describe_preference(PreferenceCounts(0, 0, 2), "v1", "v2")
        == "Nobody has preferred one of the two so far (2 more were equal)."
    )


def test_who_is_forgotten_has_compared_nothing(database: Engine, comparisons: BlindComparisons) -> None:
    ask(database, "1", "2026-11-20T08:00:00")
    comparisons.record(comparisons.begin("q", "v1", "v2"), "ann", "equal")
    comparisons.record(comparisons.begin("q", "v1", "v2"), "bob", "equal")
    erase_user_data(database, "ann", dry_run=True)
    assert comparisons.preferred("v1", "v2").n_equal == 2
    erase_user_data(database, "ann")
    assert comparisons.preferred("v1", "v2").n_equal == 1
