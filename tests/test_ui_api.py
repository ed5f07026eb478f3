"""The REST interface, asked over HTTP from a real server in this process."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rag.assemble import App
from rag.ingest import ingest_paths
from rag.passages import Splitting
from rag.settings import Settings, load_settings
from ui.keeping import Leftovers
from ui.serve import Running, running
from ui.shield import MAX_BODY

OWLS = "# Owls\n\nOwls hunt mice at night, by hearing alone.\n\n## Nests\n\nBarn owls nest in church towers.\n"
GRANT = "# The grant\n\nNurses who work at night can get the grant of 500 pounds. Apply before the first of May.\n"


def settings_for(data: Path, **sections: object) -> Settings:
    return load_settings(data, server={"port": 0}, **sections)


def fill(app: App, documents: Path) -> None:
    ingest_paths(app.library, [documents], splitting=Splitting(90))
    app.encode_missing()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("api")
    documents = home / "documents"
    documents.mkdir()
    (documents / "owls.md").write_text(OWLS, "utf-8")
    (documents / "grant.md").write_text(GRANT, "utf-8")
    with running(settings_for(home / "data"), prepare=lambda app: fill(app, documents)) as started:
        started.opening.app()
        yield started


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=30) as opened:
        yield opened


@pytest.fixture
def answer(client: httpx.Client) -> dict:
    return client.post("/api/ask", json={"question": "Who can get the grant?"}).json()


# ---- questions


def test_an_answer_has_the_shape_of_ask_json_and_a_token(answer: dict) -> None:
    assert set(answer) == {
        "turn_id", "asked", "question", "answer", "declined", "reason", "encoder_id", "citations", "sentences",
        "supported_share", "rerank_cut", "token",
    }  # fmt: skip
    assert "Nurses who work at night can get the grant of 500 pounds." in answer["answer"]
    assert set(answer["citations"][0]) == {
        "n",
        "passage_id",
        "source",
        "page",
        "start",
        "end",
        "quote",
        "support",
        "found",
    }
    assert answer["citations"][0]["source"].endswith("grant.md")


def test_a_turn_asked_over_http_is_stored_with_its_conversation(client: httpx.Client, server: Running) -> None:
    asked = client.post("/api/ask", json={"question": "Where do owls nest?", "conversation_id": "c-1", "k": 1}).json()
    turn = server.opening.app().feedback.turn(asked["turn_id"])
    assert (turn.question, turn.conversation_id, len(turn.shown)) == ("Where do owls nest?", "c-1", 1)


def test_a_follow_up_over_http_is_searched_with_the_question_before_it_and_says_so(client: httpx.Client) -> None:
    first = {"question": "Who can get the grant?", "conversation_id": "c-2"}
    assert client.post("/api/ask", json=first).json()["question"] == "Who can get the grant?"
    then = client.post("/api/ask", json={"question": "How much is it?", "conversation_id": "c-2"}).json()
    assert (then["asked"], then["question"]) == ("How much is it?", "Who can get the grant? How much is it?")
    elsewhere = client.post("/api/ask", json={"question": "How much is it?", "conversation_id": "c-3"}).json()
    assert elsewhere["question"] == "How much is it?"


def test_search_has_the_shape_of_search_json_and_names_the_version(client: httpx.Client) -> None:
    found = client.get("/api/search", params={"q": "barn owls", "k": 2}).json()
    assert set(found) == {"hits", "encoder_id", "rerank_cut"}
    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert set(found["hits"][0]) == {
        *("rank", "passage_id", "source", "title", "text"),
        *("score", "dense", "lexical", "today", "rerank", "also_in"),
    }
    assert "church towers" in found["hits"][0]["text"]


def test_a_filter_holds_for_a_search_and_for_an_answer(client: httpx.Client) -> None:
    found = client.get("/api/search", params={"q": "barn owls", "source": "*/grant.md", "type": "md"}).json()
    assert {Path(hit["source"]).name for hit in found["hits"]} == {"grant.md"}
    asked = {"question": "Who can get the grant?", "where": {"sources": ["*/owls.md"], "since": "2026-11-01"}}
    assert all(one["source"].endswith("owls.md") for one in client.post("/api/ask", json=asked).json()["citations"])


def test_a_filter_that_names_nothing_there_is_refused_with_what_there_is(client: httpx.Client) -> None:
    refused = client.get("/api/search", params={"q": "owls", "type": "pdf"})
    assert (refused.status_code, refused.json()["error"]) == (
        404,
        "no document of type 'pdf' in the library: there is md, text/markdown",
    )


# ---- verdicts


def test_a_verdict_is_stored_and_promises_what_it_will_do(client: httpx.Client, server: Running, answer: dict) -> None:
    passage_id = answer["citations"][0]["passage_id"]
    target = {"turn_id": answer["turn_id"], "token": answer["token"], "passage_id": passage_id}
    given = client.post("/api/verdicts", json={**target, "verdict": "helpful", "comment": "found it"})
    assert given.json() == {
        "verdict": "helpful",
        "promise": "From now on this passage comes higher for questions like this one, and tonight it becomes a right "
        "answer to yours.",
    }
    stored = server.opening.app().feedback.standing("local", answer["turn_id"])
    assert [(one.passage_id, one.verdict, one.comment) for one in stored] == [(passage_id, "helpful", "found it")]

    assert client.request("DELETE", "/api/verdicts", json=target).json() == {"verdict": None, "promise": ""}
    assert server.opening.app().feedback.standing("local", answer["turn_id"]) == []


def test_a_vote_moves_its_passage_in_the_next_search_for_the_same_question(client: httpx.Client, answer: dict) -> None:
    passage_id = answer["citations"][0]["passage_id"]
    target = {"turn_id": answer["turn_id"], "token": answer["token"], "passage_id": passage_id}

    def today() -> dict[str, float]:
        found = client.get("/api/search", params={"q": "Who can get the grant?", "k": 100}).json()["hits"]
        return {hit["passage_id"]: round(hit["today"], 3) for hit in found if hit["today"]}

    client.post("/api/verdicts", json={**target, "verdict": "not_relevant"})
    assert today() == {passage_id: -0.5}
    client.request("DELETE", "/api/verdicts", json=target)
    assert today() == {}


def test_a_verdict_on_the_answer_names_no_passage(client: httpx.Client, server: Running, answer: dict) -> None:
    target = {"turn_id": answer["turn_id"], "token": answer["token"]}
    assert client.post("/api/verdicts", json={**target, "verdict": "answer_wrong"}).status_code == 200
    stored = server.opening.app().feedback.standing("local", answer["turn_id"])
    assert [(one.passage_id, one.verdict) for one in stored] == [(None, "answer_wrong")]


def test_a_verdict_without_the_answers_token_is_refused(client: httpx.Client, server: Running, answer: dict) -> None:
    other = client.post("/api/ask", json={"question": "Where do owls nest?"}).json()
    forged = {"turn_id": answer["turn_id"], "token": other["token"], "verdict": "answer_helpful"}
    refused = client.post("/api/verdicts", json=forged)
    assert refused.status_code == 400
    assert "token does not belong" in refused.json()["error"]
    assert server.opening.app().feedback.standing("local", answer["turn_id"]) == []


def test_a_verdict_may_only_name_what_was_shown_unless_it_pins(client: httpx.Client, server: Running) -> None:
    shown = client.post("/api/ask", json={"question": "Who can get the grant?", "k": 1}).json()
    owls = client.get("/api/search", params={"q": "barn owls nest", "k": 1}).json()["hits"][0]["passage_id"]
    target = {"turn_id": shown["turn_id"], "token": shown["token"], "passage_id": owls}
    refused = client.post("/api/verdicts", json={**target, "verdict": "helpful"})
    assert refused.status_code == 400
    assert "was not shown" in refused.json()["error"]
    assert client.post("/api/verdicts", json={**target, "verdict": "pin"}).status_code == 200
    unknown = client.post("/api/verdicts", json={**target, "passage_id": "nothing", "verdict": "pin"})
    assert unknown.status_code == 404


# ---- refusals


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"question": "  "}, "the question is empty"),
        ({"question": "a" * 2001}, "2,001 characters"),
        ({"question": "Who?", "top_k": 3}, "top_k: "),
        ({"question": "Who?", "k": 0}, "k: "),
        ({}, "question: "),
        ({"question": "Who?", "where": {"folders": ["a/"]}}, "where.folders: "),
        ({"question": "Who?", "where": {"since": "yesterday"}}, "'yesterday' is no date"),
        ({"question": "Who?", "where": {"since": "2026-11-25", "until": "2026-11-24"}}, "nothing lies between"),
        ({"question": "Who?", "where": {"types": ["x"] * 51}}, "where.types: "),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_reason(client: httpx.Client, body: dict, says: str) -> None:
    refused = client.post("/api/ask", json=body)
    assert refused.status_code == 400
    assert says in refused.json()["error"]


def test_a_request_too_large_is_refused_whether_it_says_its_size_or_not(client: httpx.Client) -> None:
    large = b'{"question": "' + b"a" * MAX_BODY + b'"}'
    assert client.post("/api/ask", content=large, headers={"content-type": "application/json"}).status_code == 413
    pieces = (large[start : start + 65536] for start in range(0, len(large), 65536))
    assert client.post("/api/ask", content=pieces, headers={"content-type": "application/json"}).status_code == 413


def test_another_sites_pages_can_neither_write_nor_take_our_name(client: httpx.Client) -> None:
    foreign = client.post("/api/ask", json={"question": "Who?"}, headers={"origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    rebound = client.get("/api/search", params={"q": "owls"}, headers={"host": "elsewhere.example"})
    assert rebound.status_code == 400


def test_every_response_forbids_other_hosts_and_foreign_scripts(client: httpx.Client) -> None:
    page = client.get("/", headers={"accept": "text/html"})
    for response in (page, client.get("/livez"), client.get("/api/search"), client.post("/api/ask", json={})):
        policy = dict(one.strip().split(" ", 1) for one in response.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["connect-src"] == "'self'"
        assert policy["img-src"] == "'self' data:"
        assert "unsafe" not in policy["script-src"]
        assert "http" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
    assert page.headers["content-security-policy"].count("'sha256-") == 5


# ---- health, and versions that change


def test_it_is_ready_and_says_by_which_version_and_index(client: httpx.Client, server: Running) -> None:
    live = server.opening.app().live
    assert live.index is not None
    live.index.wait(20)
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "encoder_id": live.version.encoder_id,
        "index": {"state": "ready", "reason": ""},
        "generator": {"model": "extractive"},
    }
    version = client.get("/api/version").json()
    assert (version["tier"], version["n_passages"], version["lexical_weight"]) == (
        0,
        len(live.lexical.passage_ids),
        0.25,
    )


def test_a_client_sees_a_promotion_as_one_switch_and_no_failure(
    client: httpx.Client, server: Running, tmp_path: Path
) -> None:
    app = server.opening.app()
    before = app.registry.current()
    seen, stop = [], threading.Event()

    def ask_twice_a_second() -> None:
        while not stop.wait(0.2):
            response = client.get("/api/search", params={"q": "owls"})
            seen.append((response.status_code, response.json().get("encoder_id")))

    asking = threading.Thread(target=ask_twice_a_second)
    asking.start()
    time.sleep(0.7)
    shutil.copytree(before.folder, tmp_path / "made")
    after = app.registry.register(tmp_path / "made", tier=1, parent_id=before.encoder_id, lexical_weight=0.5, note={})
    app.registry.promote(after.encoder_id, "a test")
    deadline = time.monotonic() + 30
    while (200, after.encoder_id) not in seen and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    stop.set()
    asking.join()
    assert {status for status, _ in seen} == {200}
    ids = [encoder_id for _, encoder_id in seen]
    assert ids == [before.encoder_id] * ids.index(after.encoder_id) + [after.encoder_id] * ids.count(after.encoder_id)
    assert before.encoder_id in ids


def test_a_document_that_came_meanwhile_is_found(client: httpx.Client, server: Running, tmp_path: Path) -> None:
    (tmp_path / "bats.md").write_text("# Bats\n\nBats sleep upside down in caves.\n", "utf-8")
    fill(server.opening.app(), tmp_path)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        hits = client.get("/api/search", params={"q": "how do bats sleep", "k": 1}).json()["hits"]
        if "upside down" in hits[0]["text"]:
            break
        time.sleep(0.2)
    assert "upside down" in hits[0]["text"]


def test_passages_that_nobody_encoded_get_their_vectors_once_nothing_changes(server: Running, tmp_path: Path) -> None:
    app, leftovers = server.opening.app(), Leftovers(stays_s=0)
    (tmp_path / "moles.md").write_text("# Moles\n\nMoles dig in the garden at dawn.\n", "utf-8")
    ingest_paths(app.library, [tmp_path], splitting=Splitting(90))
    app.refresh()
    leftovers.look(app)  # something has just changed: whoever brought it may be encoding it
    assert app.missing_vectors() == 1
    leftovers.look(app)
    assert app.missing_vectors() == 0
