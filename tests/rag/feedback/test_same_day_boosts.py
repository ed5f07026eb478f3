"""The day's memory: a vote helps at once, hardly further than its own question, and not for longer than it has to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete

from rag.app.app import App, open_app
from rag.database.schema import verdict_events
from rag.feedback import same_day_boosts as until_tonight
from rag.feedback.feedback_store import record_deletion
from rag.feedback.same_day_boosts import (
    LEARNED_VERDICTS_KEY,
    PendingVote,
    SameDayFeedback,
    combine_votes,
    feedback_boost,
    feedback_boosts,
)
from rag.records import Document, Hit, Passage, Verdict, sha256_of
from rag.settings import load_settings
from rag.versions.registry import Version

GRANT = "Who can get the grant?"
SAME = "Who can apply for the grant?"  # cosine .93 with GRANT under the base
OTHER = "Who can get the loan?"  # .51
LAMP = "How do I switch the lamp on?"

TEXTS = {
    "grant": "Small firms that lost a third of their income can get the grant.",
    "apply": "The grant is applied for on the page of the council.",
    "loan": "Start-ups can ask the bank for a loan.",
    "lamp": "The lamp is switched on with the red button.",
    "moth": "Moths fly at night and gather around a light.",
    "waste": "The council collects waste on Mondays.",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the base and the encoded passages."""
    folder = tmp_path_factory.mktemp("installed") / "data"
    app = open_app(load_settings(folder))
    for name, text in TEXTS.items():
        document = Document(
            document_id=f"of-{name}",
            source=f"{name}.txt",
            title="",
            media_type="text/plain",
            sha256=sha256_of(text),
            text=text,
        )
        app.library.put(
            document,
            [
                Passage(
                    passage_id=name,
                    document_id=document.document_id,
                    source=document.source,
                    title="",
                    heading="",
                    text=text,
                    start=0,
                    end=len(text),
                )
            ],
        )
    app.encode_missing()
    app.close()
    return folder


@pytest.fixture
def opened(installed: Path, tmp_path: Path) -> Iterator:
    """Opens a copy of it as often as wanted; the weights are linked."""
    apps: list[App] = []

    def copy(source: str, target: str) -> None:
        (os.link if source.endswith(".safetensors") else shutil.copy2)(source, target)

    data = shutil.copytree(installed, tmp_path / "data", copy_function=copy)

    def opened(**sections: dict[str, object]) -> App:
        apps.append(open_app(load_settings(data, **{"feedback": {"trusted": ["chief"]}, **sections})))
        return apps[-1]

    yield opened
    for app in apps:
        app.close()


@pytest.fixture
def app(opened) -> App:
    return opened()


def vote(app: App, user: str, passage_id: str, verdict: str, question: str = GRANT) -> str:
    """*user* asks and says so; returns the turn."""
    turn_id = app.answerer.answer(question, user=user, k=6).turn_id
    app.feedback.record_verdict(user, turn_id, passage_id, verdict)
    return turn_id


def found(app: App, question: str, user: str | None) -> list[Hit]:
    return app.retriever.search(question, 6, user)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.passage.passage_id for hit in hits]


def lift_of(app: App, passage_id: str, user: str, question: str = GRANT) -> float:
    (hit,) = [hit for hit in found(app, question, user) if hit.passage.passage_id == passage_id]
    return round(hit.feedback_boost, 3)


# ---- the rule


def test_closeness_rises_in_a_straight_line_and_never_beyond_one() -> None:
    assert feedback_boost("pin", 0.95) == pytest.approx(0.5)
    assert feedback_boost("helpful", 0.95) == pytest.approx(0.25)
    assert feedback_boost("not_relevant", 0.975) == pytest.approx(-0.25)
    assert feedback_boost("not_relevant", 0.95) == 0.0, "a rejection reaches less far than a pin"
    assert feedback_boost("pin", 1.0000001) == 1.0
    assert feedback_boost("pin", -1.0) == 0.0


def test_ones_own_vote_decides_against_any_number_of_others() -> None:
    near = [(PendingVote(user, GRANT, "p", "pin"), 1.0) for user in ("bob", "carl", "chief")]
    near.append((PendingVote("ann", GRANT, "p", "not_relevant"), 1.0))
    assert feedback_boosts(near, "ann", {"chief"}) == {"p": -0.5}
    assert feedback_boosts(near, "dora", {"chief"}) == {"p": 1.0}


def test_of_one_persons_votes_the_closest_counts_and_among_equals_the_latest() -> None:
    pin, rejection = PendingVote("ann", GRANT, "p", "pin"), PendingVote("ann", SAME, "p", "not_relevant")
    assert feedback_boosts([(pin, 1.0), (rejection, 0.99)], "ann", ()) == {"p": 1.0}
    assert feedback_boosts([(pin, 1.0), (rejection, 1.0)], "ann", ()) == {"p": -0.5}
    assert feedback_boosts([(rejection, 1.0), (pin, 1.0)], "ann", ()) == {"p": 1.0}


def test_others_count_when_two_agree_and_outnumber_those_who_do_not() -> None:
    assert combine_votes({"ann": 1.0, "bob": 0.4, "carl": 0.6}, ()) == 0.6
    assert combine_votes({"ann": 1.0, "bob": 0.4, "carl": -0.5}, ()) == 0.4
    assert combine_votes({"ann": 1.0, "bob": -0.5}, ("ann", "bob")) == 0.0
    assert combine_votes({"ann": -0.1, "chief": -0.3}, ("chief",)) == -0.3
    assert combine_votes({}, ("chief",)) == 0.0


# ---- at once, and near only


def test_a_pin_leads_the_next_answer_to_the_same_and_to_a_near_question_but_to_no_other(app) -> None:
    before = {question: found(app, question, None) for question in (OTHER, LAMP)}
    vote(app, "ann", "moth", "pin")
    answer = app.answerer.answer(GRANT, user="ann", k=3)
    assert answer.hits[0].passage.passage_id == "moth"
    assert answer.hits[0].feedback_boost == pytest.approx(1.0)
    assert 0 < lift_of(app, "moth", "ann", SAME) < 1
    for question, hits in before.items():
        assert found(app, question, "ann") == hits


def test_a_pinned_passage_that_no_side_puts_forward_is_found(opened) -> None:
    app = opened(retrieval={"candidates": 1})
    vote(app, "ann", "moth", "pin")
    (first, *_) = app.retriever.search(GRANT, 1, "ann")
    (pure,) = [hit for hit in app.retriever.search(GRANT, 6) if hit.passage.passage_id == "moth"]
    assert (first.passage.passage_id, first.feedback_boost) == ("moth", pytest.approx(1.0))
    assert (first.dense, first.lexical) == (pytest.approx(pure.dense, abs=1e-6), pure.lexical)


def test_a_rejected_passage_comes_lower_and_lets_the_next_one_in(app) -> None:
    first, second = ids(found(app, GRANT, "ann"))[:2]
    vote(app, "ann", first, "not_relevant")
    assert ids(app.retriever.search(GRANT, 1, "ann")) == [second]
    assert lift_of(app, first, "ann") == -0.5
    assert lift_of(app, first, "ann", SAME) == 0, "a rejection says nothing of a question at a cosine below .95"


def test_the_score_of_every_hit_is_the_sum_of_its_parts(app) -> None:
    vote(app, "ann", "moth", "pin")
    vote(app, "ann", "grant", "not_relevant")
    hits = found(app, GRANT, "ann")
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert hit.score == pytest.approx(hit.dense + 0.25 * hit.lexical + hit.feedback_boost, abs=1e-6)
    assert sum(hit.feedback_boost != 0 for hit in hits) == 2


def test_an_outdated_passage_stays_where_it_is(app) -> None:
    before = found(app, GRANT, "ann")
    vote(app, "ann", before[0].passage.passage_id, "outdated")
    assert found(app, GRANT, "ann") == before


def test_what_is_said_of_an_answer_moves_nothing(app) -> None:
    before = found(app, GRANT, "ann")
    turn_id = app.answerer.answer(GRANT, user="ann").turn_id
    app.feedback.record_verdict("ann", turn_id, None, "answer_wrong_source")
    assert found(app, GRANT, "ann") == before


# ---- for whom


def test_a_strangers_rejection_and_pin_count_for_that_stranger_only(app) -> None:
    before = found(app, GRANT, "bob")
    vote(app, "ann", "grant", "not_relevant")
    vote(app, "ann", "moth", "pin")
    assert found(app, GRANT, "bob") == before
    assert ids(found(app, GRANT, "ann"))[0] == "moth"


def test_one_person_who_repeats_a_rejection_stays_one_person(app) -> None:
    before = found(app, GRANT, "bob")
    for question in (GRANT, GRANT, "who can get the grant", "Who can get the grant"):
        vote(app, "ann", "grant", "not_relevant", question)
    assert found(app, GRANT, "bob") == before


def test_two_people_who_agree_count_for_everybody_and_so_does_a_trusted_one(app) -> None:
    vote(app, "ann", "grant", "not_relevant")
    assert lift_of(app, "grant", "dora") == 0
    vote(app, "bob", "grant", "not_relevant")
    assert lift_of(app, "grant", "dora") == -0.5
    vote(app, "chief", "moth", "pin")
    assert lift_of(app, "moth", "dora") == 1


def test_votes_of_quarantined_people_count_for_nobody_else(opened) -> None:
    app = opened(feedback={"trusted": ["chief"], "quarantined": ["ann", "chief"]})
    before = found(app, GRANT, "dora")
    for user in ("ann", "bob", "chief"):
        vote(app, user, "grant", "not_relevant")
    assert found(app, GRANT, "dora") == before
    assert lift_of(app, "grant", "ann") == -0.5


# ---- until when


def promote(app: App, name: str, weight: float, note: dict[str, object]) -> Version:
    """Registers and promotes a version like the base but for BM25's weight."""
    version = register(app, name, weight, note)
    return app.registry.promote(version.encoder_id, "test")


def register(app: App, name: str, weight: float, note: dict[str, object]) -> Version:
    made = shutil.copytree(app.registry.base().folder, app.settings.data / name)
    return app.registry.register(made, tier=1, parent_id=None, lexical_weight=weight, note=note)


def test_a_vote_expires_with_the_promotion_of_a_version_that_has_seen_it_and_returns_with_a_rollback(app) -> None:
    vote(app, "ann", "moth", "pin")
    seen = app.feedback.latest_event_id()
    vote(app, "ann", "waste", "pin", LAMP)
    night = promote(app, "night", 0.3, {LEARNED_VERDICTS_KEY: seen})
    app.refresh()
    assert lift_of(app, "moth", "ann") == 0, "the version has seen this one"
    assert lift_of(app, "waste", "ann", LAMP) == 1, "this one came too late for it"
    app.registry.rollback()
    app.refresh()
    assert lift_of(app, "moth", "ann") == 1
    app.registry.promote(night.encoder_id, "by hand")
    app.refresh()
    assert lift_of(app, "moth", "ann") == 0


def test_a_version_that_was_refused_makes_nothing_expire(app) -> None:
    vote(app, "ann", "moth", "pin")
    register(app, "refused", 0.3, {LEARNED_VERDICTS_KEY: app.feedback.latest_event_id()})
    app.refresh()
    assert lift_of(app, "moth", "ann") == 1


def test_a_version_that_does_not_say_has_seen_what_was_given_before_it_was_made(app) -> None:
    vote(app, "ann", "moth", "pin")
    promote(app, "night", 0.3, {})
    vote(app, "ann", "waste", "pin", LAMP)
    app.refresh()
    assert lift_of(app, "moth", "ann") == 0
    assert lift_of(app, "waste", "ann", LAMP) == 1


def test_an_old_vote_that_is_imported_today_counts_today(app) -> None:
    turn_id = app.answerer.answer(GRANT, user="ann").turn_id
    given_at = app.registry.base().created_at.replace(year=1970)
    app.feedback.append(
        [
            Verdict(
                user="ann",
                turn_id=turn_id,
                question=GRANT,
                passage_id="moth",
                verdict="pin",
                comment="",
                given_at=given_at,
            )
        ]
    )
    assert lift_of(app, "moth", "ann") == 1


# ---- taken back, deleted, switched off


def test_a_vote_that_is_taken_back_or_changed_has_no_effect_from_then_on(app) -> None:
    before = found(app, GRANT, "ann")
    turn_id = vote(app, "ann", "moth", "pin")
    assert lift_of(app, "moth", "ann") == 1
    app.feedback.withdraw_verdict("ann", turn_id, "moth")
    assert found(app, GRANT, "ann") == before
    app.feedback.record_verdict("ann", turn_id, "moth", "pin")
    app.feedback.record_verdict("ann", turn_id, "moth", "outdated")
    assert found(app, GRANT, "ann") == before


def forget(app: App, user: str) -> None:
    with app.engine.begin() as connection:
        record_deletion(connection)
        connection.execute(delete(verdict_events).where(verdict_events.c.user == user))


def test_a_person_who_is_forgotten_moves_nothing_any_more(app) -> None:
    before = found(app, GRANT, "ann")
    vote(app, "ann", "moth", "pin")
    vote(app, "bob", "moth", "pin")
    assert lift_of(app, "moth", "dora") == 1
    forget(app, "bob")
    assert found(app, GRANT, "dora") == before
    assert lift_of(app, "moth", "ann") == 1
    forget(app, "ann")
    assert found(app, GRANT, "ann") == before


def test_the_number_of_a_deleted_event_is_never_given_again(app) -> None:
    """Or a version could seem to have seen a vote that was given after it."""
    turn_id = vote(app, "ann", "moth", "pin")
    last = app.feedback.latest_event_id()
    forget(app, "ann")
    app.feedback.record_verdict("ann", turn_id, "moth", "pin")
    assert app.feedback.latest_event_id() > last
    assert [verdict.user for verdict in app.feedback.standing()] == ["ann"]


def test_a_vote_on_a_passage_that_is_gone_is_passed_over(app) -> None:
    vote(app, "ann", "moth", "pin")
    assert lift_of(app, "moth", "ann") == 1
    app.library.remove("moth.txt")
    assert "moth" not in ids(found(app, GRANT, "ann"))  # before the retriever has taken it in
    app.refresh()
    assert "moth" not in ids(found(app, GRANT, "ann"))


def test_measuring_comparing_and_a_switched_off_memory_know_nothing_of_it(app, opened) -> None:
    before = found(app, GRANT, None)
    vote(app, "chief", "moth", "pin")
    assert found(app, GRANT, "chief") != before
    assert app.retriever.search(GRANT, 6) == before
    assert app.retriever_for(app.current().encoder_id).search(GRANT, 6, "chief") == before
    assert found(opened(retrieval={"until_tonight": False}), GRANT, "chief") == before


def test_of_one_person_only_the_latest_votes_are_remembered(app, monkeypatch) -> None:
    vote(app, "ann", "waste", "pin", LAMP)
    vote(app, "ann", "moth", "pin")
    monkeypatch.setattr(until_tonight, "MAX_VOTES_PER_USER", 1)
    vote(app, "ann", "lamp", "pin", OTHER)
    vote(app, "bob", "loan", "pin", GRANT)
    assert lift_of(app, "moth", "ann") == 0
    assert lift_of(app, "lamp", "ann", OTHER) == 1
    assert lift_of(app, "loan", "bob") == 1


# ---- what it costs


class Counting:
    """An encoder that remembers what it was asked for."""

    def __init__(self, encoder) -> None:
        self.encoder, self.encoder_id, self.asked = encoder, encoder.encoder_id, []

    def encode_queries(self, texts):
        self.asked += texts
        return self.encoder.encode_queries(texts)


def today(app: App, encoder, **how) -> SameDayFeedback:
    return SameDayFeedback(app.feedback, encoder, after=0, **how)


def test_a_judged_question_is_encoded_once_for_a_version(app) -> None:
    vote(app, "ann", "moth", "pin")
    first, second = Counting(app.retriever.encoder), Counting(app.retriever.encoder)
    query = app.retriever.encoder.encode_queries([GRANT])[0]
    for memory in (today(app, first), today(app, second)):
        assert memory.lifts(query, "ann") == {"moth": pytest.approx(1.0)}
        assert memory.lifts(query, "ann") == {"moth": pytest.approx(1.0)}
    assert (first.asked, second.asked) == ([GRANT], [])


def test_a_search_encodes_the_latest_questions_only_and_the_background_the_others(opened, monkeypatch) -> None:
    app = opened(retrieval={"until_tonight": False})  # or its own searches would have encoded them
    monkeypatch.setattr(until_tonight, "MAX_ENCODED_PER_SEARCH", 1)
    monkeypatch.setattr(until_tonight, "MAX_ENCODED_PER_CATCH_UP", 1)
    for question, passage_id in {LAMP: "waste", OTHER: "lamp", GRANT: "moth"}.items():
        vote(app, "ann", passage_id, "pin", question)
    counting = Counting(app.retriever.encoder)
    memory = today(app, counting, catches_up=True)
    queries = counting.encoder.encode_queries([LAMP, OTHER, GRANT])
    assert [set(memory.lifts(query, "ann")) for query in queries] == [set(), set(), {"moth"}]
    memory.catch_up()
    assert [set(memory.lifts(query, "ann")) for query in queries] == [set(), {"lamp"}, {"moth"}]
    memory.catch_up()
    assert [set(memory.lifts(query, "ann")) for query in queries] == [{"waste"}, {"lamp"}, {"moth"}]
    memory.catch_up()
    assert counting.asked == [GRANT, OTHER, LAMP], "the latest first, and none twice"


def test_threads_may_ask_while_others_vote(app) -> None:
    turn_id = app.answerer.answer(GRANT, user="ann", k=6).turn_id
    memory = today(app, app.retriever.encoder)
    query = app.retriever.encoder.encode_queries([GRANT])[0]
    memory.lifts(query, "ann")

    def ask(_: int) -> list[dict[str, float]]:
        return [memory.lifts(query, "ann") for _ in range(40)]

    with ThreadPoolExecutor(4) as pool:
        asking = pool.map(ask, range(4))
        for _ in range(10):
            app.feedback.record_verdict("ann", turn_id, "moth", "pin")
            app.feedback.record_verdict("ann", turn_id, "moth", "not_relevant")
        seen = [question for questions in asking for question in questions]
    assert {amount for boosts in seen for amount in np.round(list(boosts.values()), 4)} <= {1.0, -0.5}
    assert memory.lifts(query, "ann") == {"moth": pytest.approx(-0.5)}
