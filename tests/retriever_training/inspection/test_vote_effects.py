"""What votes did, after a real night: ranks before and now, by which version, and why a vote does not count."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from rag.app.app import App, open_app
from rag.database.schema import read_connection, vectors
from rag.records import Document, Judgment, Passage, Verdict
from rag.settings import Settings, load_settings
from rag.versions.registry import Promotion
from retriever_training.inspection.judged_ranks import BEYOND_DEPTH, JudgedRanks
from retriever_training.inspection.standing_votes import StandingVote, load_standing_votes
from retriever_training.inspection.vote_effects import (
    VoteEffect,
    count_outcomes,
    version_path,
    why_excluded,
)
from retriever_training.judgments.aggregate import AggregatedJudgments
from retriever_training.judgments.reasons import ExcludedVote, ExclusionCode, WaitReason
from retriever_training.judgments.splits import split_of
from retriever_training.judgments.voters import Voter
from tests.fixtures import jargon
from tests.fixtures.library_after_night import ASKED, LATER, REJECTED
from ui.actions.vote_effects import VoteEffectsSummary, VoteEffectsView

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def app(after_a_night: Path) -> Iterator[App]:
    opened = open_app(Settings(data=after_a_night))
    yield opened
    opened.close()


def look(app: App, user: str | None = "local", n: int = 20) -> dict[str, VoteEffect]:
    """By question."""
    return {effect.cast.question: effect for effect in VoteEffectsView(app).look(user, n).effects}


def rank_under(app: App, encoder_id: str, question: str, passage_id: str) -> int:
    """By a search of its own; the library holds more than a hundred passages."""
    found = app.retriever_for(encoder_id).search(question, k=100)
    return next((hit.rank for hit in found if hit.passage.passage_id == passage_id), BEYOND_DEPTH)


# ---- after a night


def test_a_pin_that_was_learnt_tells_the_ranks_of_both_versions_and_which_one_moved_it(app: App) -> None:
    base, current = app.registry.base().encoder_id, app.current().encoder_id
    effect = look(app)[ASKED]
    pinned = app.library.resolve([jargon.questions()[ASKED]])[jargon.questions()[ASKED]]
    before, now = rank_under(app, base, ASKED, pinned), rank_under(app, current, ASKED, pinned)
    assert now < before
    assert [(step.encoder_id, step.rank) for step in effect.steps] == [(base, before), (current, now)]
    assert (effect.outcome, effect.before, effect.now, effect.moved_by) == ("moved", before, now, current)
    assert effect.is_held_out == (split_of(ASKED) != "train")


def test_the_rank_that_was_shown_is_told_as_it_was(app: App) -> None:
    cast = look(app, "ann")[REJECTED].cast
    assert (cast.shown_rank, cast.n_shown) == (1, 6)
    assert cast.encoder_id == app.registry.base().encoder_id


def test_a_rejection_by_one_person_does_not_count_and_says_why(app: App) -> None:
    effect = look(app, "ann")[REJECTED]
    assert (effect.outcome, effect.why) == ("left_out", ExcludedVote("rejected_by_one_person"))


def test_a_vote_after_the_night_counts_tonight_and_not_before(app: App) -> None:
    effect = look(app)[LATER]
    assert effect.outcome == "tonight"
    assert [step.encoder_id for step in effect.steps] == [app.current().encoder_id]
    assert effect.moved_by is None


def test_a_vote_that_was_taken_back_is_not_looked_at(app: App) -> None:
    said = next(verdict for verdict in app.feedback.standing("local") if verdict.question == LATER)
    app.feedback.withdraw_verdict("local", said.turn_id, said.passage_id)
    assert LATER not in look(app)


def test_after_a_rollback_the_votes_count_tonight_again(app: App) -> None:
    app.registry.rollback()
    app.refresh()
    effect = look(app)[ASKED]
    assert effect.outcome == "tonight"
    assert [step.encoder_id for step in effect.steps][::2] == [app.registry.base().encoder_id] * 2


def test_a_document_that_is_gone_is_said_to_be_gone(app: App) -> None:
    cast = look(app)[ASKED].cast
    source = app.library.get([cast.passage_id])[cast.passage_id].source
    app.library.remove(source)
    app.refresh()
    gone = look(app).get(ASKED)
    assert gone is None or (gone.outcome, gone.why, gone.steps) == ("left_out", ExcludedVote("passage_gone"), ())


def test_people_in_quarantine_are_told_that_their_votes_wait(after_a_night: Path) -> None:
    opened = open_app(load_settings(after_a_night, feedback={"quarantined": ["local"]}))
    try:
        assert look(opened)[ASKED].why == ExcludedVote("person_waits", WaitReason("quarantined_by_hand"))
    finally:
        opened.close()


def test_everybodys_votes_are_looked_at_together(app: App) -> None:
    look_at_all = VoteEffectsView(app).look(None, 10)
    assert look_at_all.n_votes == len(jargon.questions()) + 1
    assert (len(look_at_all.effects), look_at_all.n_looked_at) == (10, 10)
    assert sum(look_at_all.counts.values()) == 10


# ---- no more work than is needed


def n_vectors(app: App) -> int:
    with read_connection(app.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(vectors)).scalar_one())


def test_a_second_look_searches_for_nothing_and_the_steps_are_told(app: App) -> None:
    view = VoteEffectsView(app)
    steps: list[tuple[int, int]] = []
    view.look("local", on_progress=lambda n_done, n_searches: steps.append((n_done, n_searches)))
    assert steps[0] == (0, 3), "one vote under both versions, one under the current one"
    steps.clear()
    view.look("local", on_progress=lambda n_done, n_searches: steps.append((n_done, n_searches)))
    assert steps == []


def test_where_votes_are_many_ranks_come_before_it_is_known_which_of_them_count(after_a_night: Path) -> None:
    opened = open_app(load_settings(after_a_night, feedback={"quarantined": ["local"]}))
    try:
        view, early = VoteEffectsView(opened, many=1), list[VoteEffectsSummary]()
        found = view.look("local", on_unweighed=early.append)
        (unweighed,) = early
        assert (unweighed.is_weighed, found.is_weighed) == (False, True)
        assert [(effect.cast, effect.steps) for effect in unweighed.effects] == [
            (effect.cast, effect.steps) for effect in found.effects
        ]
        assert (unweighed.counts["left_out"], found.counts["left_out"]) == (0, 2)
        assert view.look("local", on_unweighed=early.append) == found
        assert early == [unweighed], "nothing has changed, so nothing is weighed again"
    finally:
        opened.close()


def test_questions_that_are_encoded_need_no_encoder_and_no_second_vector(app: App) -> None:
    before = look(app)
    n_before = n_vectors(app)
    for version in app.registry.versions():  # whoever opens one of them now fails, and could tell no rank
        shutil.move(version.folder, version.folder.with_name(f"{version.encoder_id}-away"))
    assert {question: effect.steps for question, effect in look(app).items()} == {
        question: effect.steps for question, effect in before.items()
    }
    assert n_vectors(app) == n_before


def test_a_changed_library_is_searched_anew(app: App) -> None:
    ranks = JudgedRanks(app.stores)
    target = (ASKED, look(app)[ASKED].cast.passage_id)
    wanted = {app.current().encoder_id: [target]}
    for encoder_id, targets in ranks.missing(wanted).items():
        ranks.find(encoder_id, targets)
    assert ranks.missing(wanted) == {}
    text = "The camera is reset by the lever."
    passage = Passage(
        passage_id="new-p", document_id="new", source="new.txt", title="", heading="", text=text, start=0, end=len(text)
    )
    app.library.put_all(
        [
            (
                Document(
                    document_id="new", source="new.txt", title="", media_type="text/plain", sha256="new", text=text
                ),
                [passage],
            )
        ]
    )
    assert ranks.missing(wanted) == wanted


def test_a_version_that_has_not_encoded_the_library_can_not_be_told(app: App, tmp_path: Path) -> None:
    """It would only seem better or worse: what it has not encoded, it never finds."""
    made = shutil.copytree(app.registry.base().folder, tmp_path / "made")
    for file in ("manifest.json", "retrieval.json", "README.md"):
        (made / file).unlink(missing_ok=True)
    settings = made / "sentence_bert_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text("utf-8")) | {"max_seq_length": 64}), "utf-8")
    other = app.registry.register(made, tier=3, parent_id=None, lexical_weight=0.25, note={})
    assert other.passage_side != app.current().passage_side
    ranks, target = JudgedRanks(app.stores), (ASKED, look(app)[ASKED].cast.passage_id)
    assert ranks.missing({other.encoder_id: [target]})
    ranks.find(other.encoder_id, [target])
    assert ranks.rank(other.encoder_id, target) is None
    assert ranks.missing({other.encoder_id: [target]}) == {}, "it is not asked again and again"


# ---- by hand


def cast(
    users: Sequence[str] = ("ann",),
    verdict: str = "pin",
    encoder_id: str = "v1",
    asked_at: datetime = NOON,
    passage_id: str = "p",
) -> StandingVote:
    return StandingVote(
        question="Q?",
        passage_id=passage_id,
        verdict=verdict,
        users=frozenset(users),
        given_at=asked_at,
        event_id=1,
        asked_at=asked_at,
        encoder_id=encoder_id,
        shown_rank=3,
        n_shown=6,
        n_votes=len(users),
    )


def history(*names: str) -> list[Promotion]:
    """One an hour, the second one an hour after noon; the latest first."""
    made = [
        Promotion(promotion_id=n, encoder_id=name, kind="promote", reason="", promoted_at=NOON + timedelta(hours=n - 1))
        for n, name in enumerate(names, 1)
    ]
    return made[::-1]


def test_a_vote_is_followed_from_the_version_that_answered_to_the_current_one() -> None:
    assert version_path(cast(encoder_id="v1"), history("v1", "v2", "v3")) == ("v1", "v2", "v3")
    later = cast(encoder_id="v2", asked_at=NOON + timedelta(hours=1, minutes=5))
    assert version_path(later, history("v1", "v2", "v3")) == ("v2", "v3")
    assert version_path(later, history("v1", "v2")) == ("v2",)
    assert version_path(later, history("v1", "v2", "v1")) == ("v2", "v1"), "a rollback"


def test_an_imported_vote_begins_with_the_version_that_was_current_then() -> None:
    assert version_path(cast(encoder_id="", asked_at=NOON + timedelta(minutes=90)), history("v1", "v2", "v3")) == (
        "v2",
        "v3",
    )
    assert version_path(cast(encoder_id="", asked_at=NOON - timedelta(days=9)), history("v1", "v2")) == ("v1", "v2")


def test_of_many_versions_the_first_and_the_latest_are_asked() -> None:
    names = [f"v{n}" for n in range(1, 20)]
    assert version_path(cast(encoder_id="v1"), history(*names)) == ("v1", "v15", "v16", "v17", "v18", "v19")


def judged(label: str | None = None, waits: WaitReason | None = None) -> AggregatedJudgments:
    people = {"ann": Voter(name="ann", n_votes=1, n_rejections=0, n_compared=0, n_agreed=0, waits=waits)}
    some = (
        (Judgment(question="q", passage_id="p", label=label, probability=0.8, n_people=1, weight=0.8, latest_at=NOON),)
        if label
        else ()
    )  # type: ignore[arg-type]
    return AggregatedJudgments(judgments=some, dropped={}, people=people)


@pytest.mark.parametrize(
    ("verdict", "label", "why"),
    [
        ("pin", "positive", None),
        ("pin", "negative", "overruled"),
        ("not_relevant", "negative", None),
        ("not_relevant", "positive", "overruled"),
        ("helpful", None, "over_share_or_near_held_out"),
    ],
)
def test_a_vote_counts_where_the_judgment_agrees(verdict: str, label: str | None, why: ExclusionCode | None) -> None:
    judgments = judged(label)
    settled = {("q", "p"): label} if label else {}
    excluded = why_excluded(cast(verdict=verdict), judgments, settled, is_there=True)
    assert excluded == (ExcludedVote(why) if why else None)


def test_a_person_who_waits_is_told_so_before_anything_else() -> None:
    too_fast = WaitReason("too_fast", 301)
    judgments = judged("positive", waits=too_fast)
    excluded = why_excluded(cast(), judgments, {("q", "p"): "positive"}, is_there=True)
    assert excluded == ExcludedVote("person_waits", too_fast)


def test_a_rejection_that_a_review_took_back_says_so() -> None:
    reviewed = AggregatedJudgments(judgments=(), dropped={}, people={}, excluded={"q": frozenset({"p"})})
    assert why_excluded(cast(verdict="not_relevant"), reviewed, {}, is_there=True) == ExcludedVote(
        "reviewed_not_negative"
    )
    assert why_excluded(cast(verdict="pin"), reviewed, {}, is_there=True) == ExcludedVote("over_share_or_near_held_out")


def test_several_people_who_say_the_same_are_counted_each() -> None:
    three = VoteEffect(cast=cast(("ann", "bob", "cem")), passage=None, steps=(), outcome="moved")
    one = VoteEffect(cast=cast(), passage=None, steps=(), outcome="left_out", why=ExcludedVote("passage_gone"))
    assert count_outcomes([three, one]) == {
        "moved": 3,
        "first": 0,
        "not_yet": 0,
        "other_way": 0,
        "tonight": 0,
        "left_out": 1,
        "untold": 0,
    }


def test_the_last_word_of_a_person_stands_across_turns(app: App) -> None:
    """Who pinned a passage and rejects it when asking again has changed their mind."""
    pinned = look(app)[ASKED].cast
    again = app.answerer.answer(f"  {ASKED.upper()} ", user="local")
    at = next(hit for hit in again.hits if hit.passage.passage_id == pinned.passage_id)
    app.feedback.append(
        [
            Verdict(
                user="local",
                turn_id=again.turn_id,
                question=again.question,
                passage_id=at.passage.passage_id,
                verdict="not_relevant",
            )
        ]
    )
    said = [vote for vote in load_standing_votes(app.engine, "local") if vote.passage_id == pinned.passage_id]
    assert [word.verdict for word in said] == ["not_relevant"]
