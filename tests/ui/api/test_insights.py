"""Insights by REST and on the command line: shapes, who may see what, and a comparison that does not tell the names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from starlette.requests import Request
from typer.testing import CliRunner

from rag.app.app import App, open_app
from rag.database.schema import read_connection
from rag.database.user_tables import comparisons
from rag.records import ANSWER_VERDICTS
from rag.settings import Settings
from tests.fixtures import jargon
from tests.fixtures.library_after_night import ASKED, LATER, REJECTED
from ui.actions.compare import (
    choose_two_versions,
    comparable_versions,
    pin_from_comparison,
    search_version,
    version_names,
)
from ui.auth.current_user import LOCAL_ADMINISTRATOR, CurrentUser
from ui.background.startup import AppStartup
from ui.cli import app as command
from ui.server.api_app import create_api

QUESTION = {"question": ASKED}


@pytest.fixture
def app(after_a_night: Path) -> Iterator[App]:
    opened = open_app(Settings(data=after_a_night))
    yield opened
    opened.close()


def client_of(app: App, person: CurrentUser = LOCAL_ADMINISTRATOR) -> TestClient:
    """Asks as *person*, as whom the accounts would let in."""
    opening = AppStartup(lambda: app)
    api = create_api(opening)

    @api.middleware("http")
    async def let_in(request: Request, go_on):
        request.state.person = person
        return await go_on(request)

    return TestClient(api)


# ---- over time


def test_insights_tell_the_days_without_a_gap(app: App) -> None:
    told = client_of(app).get("/api/insights", params={"days": 7}).json()
    assert set(told) == {"days", "kept_since", "whole", "before", "stretches"}
    assert len(told["stretches"]) == 7
    assert set(told["whole"]) == {
        *("first", "last", "n_asked", "n_declined", "n_liked", "n_disliked", "n_checked", "supported_share"),
        *("n_timed", "p50_s", "p95_s", "answered_share"),
    }
    assert told["whole"]["n_asked"] == sum(period["n_asked"] for period in told["stretches"]) > 3
    assert told["whole"]["n_timed"] == 3, "those that were answered here keep their seconds"
    assert told["whole"]["p50_s"] > 0


def test_days_that_are_not_counted_are_refused(app: App) -> None:
    refused = client_of(app).get("/api/insights", params={"days": 8})
    assert (refused.status_code, "days" in refused.json()["error"]) == (400, True)


# ---- what votes did


def test_votes_tell_ranks_versions_and_why_not(app: App) -> None:
    client = client_of(app)
    told = client.get("/api/insights/votes").json()
    by_question = {vote["question"]: vote for vote in told["votes"]}
    assert set(by_question) == {ASKED, LATER}
    moved = by_question[ASKED]
    assert [version["name"] for version in moved["versions"]] == ["v1", "v2"]
    assert (moved["outcome"], moved["changed_in"], moved["verdict"]) == ("moved", "v2", "pin")
    assert moved["rank_now"] == moved["versions"][-1]["rank"] < moved["rank_before"] == moved["versions"][0]["rank"]
    assert told["summary"] == {
        "moved": 1,
        "first": 0,
        "not_yet": 0,
        "other_way": 0,
        "tonight": 1,
        "left_out": 0,
        "untold": 0,
    }


def test_administrators_see_everybodys_votes_and_nobodys_name(app: App) -> None:
    client = client_of(app, CurrentUser("eve", "administrator"))
    told = client.get("/api/insights/votes", params={"whose": "all", "limit": 5}).json()
    assert (told["n_looked_at"], len(told["votes"])) == (5, 5)
    assert told["n_votes"] == len(jargon.questions()) + 1
    assert told["votes"][0]["question"] == LATER
    assert all(name not in json.dumps(told) for name in ("person-", '"ann"', '"local"'))


def test_a_person_sees_their_own_votes_only(app: App) -> None:
    ann = client_of(app, CurrentUser("ann", "reader"))
    (vote,) = ann.get("/api/insights/votes").json()["votes"]
    assert (vote["question"], vote["outcome"], vote["why"]) == (REJECTED, "left_out", "rejected_by_one_person")
    assert vote["why_text"].startswith("One person alone can’t make a passage wrong")
    assert ann.get("/api/insights").status_code == 200
    refused = ann.get("/api/insights/votes", params={"whose": "all"})
    assert refused.status_code == 403
    assert "administrator" in refused.json()["error"]


# ---- two versions


def test_two_versions_are_compared_by_name(app: App) -> None:
    told = client_of(app, CurrentUser("eve", "reader")).get("/api/compare", params=QUESTION).json()
    assert (told["a"]["name"], told["b"]["name"]) == ("v1", "v2")
    assert told["b"]["version"] == app.current().encoder_id
    ranks = {hit["passage_id"]: hit["rank"] for hit in told["a"]["hits"]}
    assert [hit["rank_in_other"] for hit in told["b"]["hits"]] == [
        ranks.get(hit["passage_id"]) for hit in told["b"]["hits"]
    ]
    assert told["preferred"]["told"] == "Nobody has preferred one of the two so far."


def begin(client: TestClient, **more: object) -> dict:
    return client.post("/api/compare", json=QUESTION | more).json()


def test_a_hidden_comparison_tells_the_names_after_the_vote_and_not_before(app: App) -> None:
    client = client_of(app, CurrentUser("eve", "voter"))
    order = set()
    for _ in range(12):
        begun = begin(client)
        assert [begun["a"], begun["b"]] == sorted(version.encoder_id for version in app.registry.versions())
        assert not begun["alike"]
        said = {name: begun[name] for name in ("question", "a", "b", "token")} | {"better": "left"}
        ended = client.post(f"/api/compare/{begun['comparison_id']}", json=said).json()
        left = app.registry.version(ended["left"]["version"])
        shown = [hit["passage_id"] for hit in begun["left"]]
        assert shown == [hit.passage.public_id for hit in search_version(app, left, ASKED)]
        order.add(ended["left"]["name"])
    assert order == {"v1", "v2"}, "chance decides the sides"
    with read_connection(app.engine) as connection:
        kept = connection.execute(select(comparisons)).all()
    assert {(line.user, line.question, line.better) for line in kept} == {("eve", ASKED, "left")}
    assert sum(ended["preferred"][version_id] for version_id in (begun["a"], begun["b"])) == 1, (
        "one person, one question, one word"
    )


@pytest.mark.parametrize("change", [{"question": "Another?"}, {"token": "0" * 64}, {"better": "up"}])
def test_a_word_on_another_comparison_than_was_shown_is_refused(app: App, change: dict) -> None:
    client = client_of(app)
    begun = begin(client)
    said = {name: begun[name] for name in ("question", "a", "b", "token")} | {"better": "left"} | change
    assert client.post(f"/api/compare/{begun['comparison_id']}", json=said).status_code == 400
    with read_connection(app.engine) as connection:
        assert connection.execute(select(comparisons)).all() == []


def test_a_reader_may_not_judge(app: App) -> None:
    reader = client_of(app, CurrentUser("eve", "reader"))
    assert reader.post("/api/compare", json=QUESTION).status_code == 403
    begun = begin(client_of(app))
    said = {name: begun[name] for name in ("question", "a", "b", "token")} | {"better": "left"}
    assert reader.post(f"/api/compare/{begun['comparison_id']}", json=said).status_code == 403


def test_one_version_has_nothing_to_be_compared_with(manuals: Path) -> None:
    app = open_app(Settings(data=manuals))
    try:
        refused = client_of(app).get("/api/compare", params=QUESTION)
        assert refused.status_code == 400
        assert "one version so far" in refused.json()["error"]
    finally:
        app.close()


def test_a_pin_from_a_comparison_is_a_vote_on_a_turn_that_is_no_question_of_a_person(app: App) -> None:
    _, current = choose_two_versions(app, None, None)
    assert [version_names(app)[version.encoder_id] for version in comparable_versions(app)] == ["v2", "v1"]
    hits = search_version(app, current, REJECTED, k=3)
    n_before = client_of(app).get("/api/insights").json()["whole"]["n_asked"]
    pin_from_comparison(app, "eve", REJECTED, current, hits)
    said = app.feedback.standing("eve")
    assert [(line.question, line.passage_id, line.verdict) for line in said] == [
        (REJECTED, hits[0].passage.passage_id, "pin")
    ]
    turn = app.feedback.turn(said[0].turn_id)
    assert (turn.origin, turn.encoder_id, len(turn.shown)) == ("compared", current.encoder_id, 3)
    assert client_of(app).get("/api/insights").json()["whole"]["n_asked"] == n_before


# ---- on the command line


def run(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(command, ["--data", str(data), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_commands_tell_what_the_interface_tells(after_a_night: Path) -> None:
    told = json.loads(run(after_a_night, "votes", "--person", "local", "--json"))
    assert {vote["question"]: vote["outcome"] for vote in told["votes"]} == {ASKED: "moved", LATER: "tonight"}
    table = run(after_a_night, "votes", "--person", "ann")
    assert "None of" not in table
    assert "One person alone can’t make a passage wrong" in " ".join(table.split())
    assert json.loads(run(after_a_night, "insights", "--days", "7", "--json"))["days"] == 7
    assert "95 % within" in run(after_a_night, "insights")


def test_nobody_who_voted_is_told_how_to(manuals: Path) -> None:
    assert run(manuals, "votes").startswith("No votes yet")


def test_other_days_are_refused_by_name(manuals: Path) -> None:
    done = CliRunner().invoke(command, ["--data", str(manuals), "insights", "--days", "8"])
    assert (done.exit_code, "use one of 7, 30, 90" in done.stderr) == (2, True)


def test_every_verdict_on_an_answer_is_liked_or_disliked() -> None:
    """A new one would be counted nowhere."""
    from rag.insights.usage_over_time import DISLIKED, LIKED

    assert {LIKED, *DISLIKED} == set(ANSWER_VERDICTS)
