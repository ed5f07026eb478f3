"""The REST interface, asked over HTTP from a real server in this process."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from rag.errors import NotFoundError
from rag.ingestion.ingest import ingest_paths
from rag.splitting.splitter import SplittingRules
from tests.fixtures.running_server import fill, served
from ui.api.openapi import example_value, iterate_operations
from ui.background.refresh_loop import MissingVectorBackfill
from ui.middleware.security_headers import MAX_BODY_BYTES
from ui.server.serve import RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with served(tmp_path_factory.mktemp("api")) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=30) as opened:
        yield opened


@pytest.fixture
def answer(client: httpx.Client) -> dict:
    return client.post("/api/ask", json={"question": "Who can get the grant?"}).json()


# ---- questions


def test_an_answer_has_the_shape_of_ask_json_and_a_token(answer: dict) -> None:
    assert set(answer) == {
        "turn_id",
        "asked",
        "question",
        "answer",
        "declined",
        "reason",
        "encoder_id",
        "citations",
        "sentences",
        "supported_share",
        "rerank_cut",
        "token",
    }
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


def test_a_turn_asked_over_http_is_stored_with_its_conversation(client: httpx.Client, server: RunningServer) -> None:
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


def test_a_conversation_is_listed_read_renamed_and_deleted(client: httpx.Client) -> None:
    first = {"question": "Where do barn owls nest?", "conversation_id": "c-9"}
    asked = client.post("/api/ask", json=first).json()
    found = client.get("/api/conversations", params={"words": "where do barn owls"}).json()
    assert [(hit["conversation_id"], hit["title"]) for hit in found] == [("c-9", "Where do barn owls nest?")]
    (turn,) = client.get("/api/conversations/c-9").json()["turns"]
    assert (turn["turn_id"], turn["answer"], turn["token"]) == (asked["turn_id"], asked["answer"], asked["token"])
    assert turn["citations"] == asked["citations"]
    assert client.patch("/api/conversations/c-9", json={"title": "Owls"}).json()["title"] == "Owls"
    assert client.delete("/api/conversations/c-9").json() == {"n_turns": 1, "n_kept": 0}
    gone = client.get("/api/conversations/c-9")
    assert (gone.status_code, "no conversation 'c-9' of yours" in gone.json()["error"]) == (404, True)


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
    assert all(
        citation["source"].endswith("owls.md") for citation in client.post("/api/ask", json=asked).json()["citations"]
    )


def test_a_filter_that_names_nothing_there_is_refused_with_what_there_is(client: httpx.Client) -> None:
    refused = client.get("/api/search", params={"q": "owls", "type": "pdf"})
    assert (refused.status_code, refused.json()["error"]) == (
        404,
        "no document of type 'pdf' in the library: there is md, text/markdown",
    )


# ---- an answer as it is written


def events_of(response: httpx.Response) -> list[tuple[str, dict]]:
    """Name and data of each server-sent event."""
    blocks = [block.strip().split("\n") for block in "\n".join(response.iter_lines()).split("\n\n") if block.strip()]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in (block for block in blocks if not block[0].startswith(":"))
    ]


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/api/ask/stream", "*/*"), ("/api/ask", "text/event-stream"), ("/api/ask/stream", "text/html")],
)
def test_a_stream_tells_what_was_found_before_the_first_word_and_ends_with_the_whole(
    client: httpx.Client, answer: dict, path: str, accept: str
) -> None:
    with client.stream(
        "POST", path, json={"question": "Who can get the grant?"}, headers={"accept": accept}
    ) as response:
        events = events_of(response)
    names = [name for name, _ in events]
    assert (names[0], set(names[1:-1]), names[-1]) == ("searched", {"text"}, "answer")
    assert events[0][1]["hits"][0]["source"].endswith("grant.md")
    whole = events[-1][1]
    assert "".join(data["delta"] for name, data in events if name == "text") == whole["answer"]
    assert set(whole) == set(answer)
    assert (whole["turn_id"], whole["answer"]) == (events[0][1]["turn_id"], answer["answer"])


def test_what_is_refused_is_refused_with_its_status_before_the_stream(client: httpx.Client) -> None:
    refused = client.post("/api/ask/stream", json={"question": " "})
    assert (refused.status_code, "the question is empty" in refused.json()["error"]) == (400, True)


def test_a_client_that_goes_away_leaves_a_turn_with_what_it_was_shown(
    client: httpx.Client, server: RunningServer
) -> None:
    with client.stream("POST", "/api/ask/stream", json={"question": "Where do owls nest?"}) as response:
        lines = response.iter_lines()
        shown = next(json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
    feedback, deadline = server.opening.app().feedback, time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(NotFoundError):  # it is stored once its thread has noticed
            feedback.turn(shown["turn_id"])
            break
        time.sleep(0.05)
    assert len(feedback.turn(shown["turn_id"]).shown) == len(shown["hits"])


# ---- passages, and what describes it all


def test_a_passage_is_told_with_its_document_and_offsets_and_to_a_browser_as_text(
    client: httpx.Client, answer: dict
) -> None:
    cited = answer["citations"][0]
    passage = client.get(f"/api/passages/{cited['passage_id']}").json()
    assert (passage["source"], passage["page"]) == (cited["source"], None)
    assert passage["text"][cited["start"] - passage["start"] : cited["end"] - passage["start"]] == cited["quote"]
    page = client.get(f"/api/passages/{cited['passage_id']}", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert cited["quote"] in page.text
    assert client.get("/api/passages/nothing").status_code == 404


def test_every_call_is_described_in_a_line_listed_under_a_word_and_shown_as_curl(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    calls = {f"{method} {path}": operation for method, path, operation in iterate_operations(document)}
    assert {"post /api/ask", "post /v1/chat/completions", "post /api/jobs"} <= set(calls)
    for call, description in calls.items():
        assert description["summary"].endswith((".", "?")), call
        assert description["tags"][0] in {tag["name"] for tag in document["tags"]}, call
        assert description["x-codeSamples"][0]["source"].startswith("curl "), call
        assert "422" not in description["responses"], call


def test_the_example_of_a_question_in_the_document_is_answered(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    body = document["paths"]["/api/ask"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert client.post("/api/ask", json=example_value(body, document["components"]["schemas"])).status_code == 200


def test_what_is_sent_holds_the_fields_that_the_document_promises(client: httpx.Client, answer: dict) -> None:
    shapes = client.get("/api/openapi.json").json()["components"]["schemas"]
    found = client.get("/api/search", params={"q": "owls"}).json()
    for shape, sent in (
        ("AnswerSchema", answer),
        ("CitationSchema", answer["citations"][0]),
        ("SentenceSchema", answer["sentences"][0]),
        ("SearchResultSchema", found),
        ("HitSchema", found["hits"][0]),
        ("VersionSchema", client.get("/api/version").json()),
        ("ReadinessSchema", client.get("/readyz").json()),
    ):
        assert set(shapes[shape]["properties"]) == set(sent), shape


def test_the_page_of_the_interface_names_every_call_and_loads_nothing(client: httpx.Client) -> None:
    page = client.get("/api/docs", headers={"accept": "text/html"})
    for method, path, _ in iterate_operations(client.get("/api/openapi.json").json()):
        assert f'{method.upper()}</span><h3><code class="path">{path}</code>' in page.text
    assert "<script" not in page.text
    assert re.findall(r"""(?:src|href)=["'](?!/|#)[^"']*""", page.text) == []
    ids = re.findall(r'id="([^"]+)"', page.text)
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(ids)
    assert len(ids) == len(set(ids))


# ---- verdicts


def test_a_verdict_is_stored_and_promises_what_it_will_do(
    client: httpx.Client, server: RunningServer, answer: dict
) -> None:
    passage_id = answer["citations"][0]["passage_id"]
    target = {"turn_id": answer["turn_id"], "token": answer["token"], "passage_id": passage_id}
    given = client.post("/api/verdicts", json={**target, "verdict": "helpful", "comment": "found it"})
    assert given.json() == {
        "verdict": "helpful",
        "promise": "Thanks. This passage now ranks higher for similar questions, and tonight Nightjar learns from your "
        "vote.",
    }
    stored = server.opening.app().feedback.standing("local", answer["turn_id"])
    assert [(turn.passage_id, turn.verdict, turn.comment) for turn in stored] == [(passage_id, "helpful", "found it")]

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


def test_a_verdict_on_the_answer_names_no_passage(client: httpx.Client, server: RunningServer, answer: dict) -> None:
    target = {"turn_id": answer["turn_id"], "token": answer["token"]}
    assert client.post("/api/verdicts", json={**target, "verdict": "answer_wrong"}).status_code == 200
    stored = server.opening.app().feedback.standing("local", answer["turn_id"])
    assert [(turn.passage_id, turn.verdict) for turn in stored] == [(None, "answer_wrong")]


def test_a_verdict_without_the_answers_token_is_refused(
    client: httpx.Client, server: RunningServer, answer: dict
) -> None:
    other = client.post("/api/ask", json={"question": "Where do owls nest?"}).json()
    forged = {"turn_id": answer["turn_id"], "token": other["token"], "verdict": "answer_helpful"}
    refused = client.post("/api/verdicts", json=forged)
    assert refused.status_code == 400
    assert "token does not belong" in refused.json()["error"]
    assert server.opening.app().feedback.standing("local", answer["turn_id"]) == []


def test_a_verdict_may_only_name_what_was_shown_unless_it_pins(client: httpx.Client, server: RunningServer) -> None:
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
    large = b'{"question": "' + b"a" * MAX_BODY_BYTES + b'"}'
    assert client.post("/api/ask", content=large, headers={"content-type": "application/json"}).status_code == 413
    pieces = (large[start : start + 65536] for start in range(0, len(large), 65536))
    assert client.post("/api/ask", content=pieces, headers={"content-type": "application/json"}).status_code == 413


def test_another_sites_pages_can_neither_write_nor_take_our_name(client: httpx.Client) -> None:
    foreign = client.post("/api/ask", json={"question": "Who?"}, headers={"origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    rebound = client.get("/api/search", params={"q": "owls"}, headers={"host": "elsewhere.example"})
    assert rebound.status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("host", "["),
        ("host", "[::1"),
        ("host", "localhost:abc"),
        ("host", "localhost:99999999"),
        ("origin", "http://["),
        ("origin", "http://localhost:abc"),
        ("origin", "localhost"),
        ("origin", "//"),
    ],
)
def test_a_header_that_can_not_be_read_is_refused_with_a_sentence(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, method: str, header: str, value: str
) -> None:
    response = client.request(method, "/api/version", headers={header: value.encode("utf-8")})
    assert response.status_code == 400
    assert header in response.json()["error"].lower() and "write " in response.json()["error"]
    assert not [record for record in caplog.records if record.exc_info]


def test_every_response_forbids_other_hosts_and_foreign_scripts(client: httpx.Client) -> None:
    page = client.get("/", headers={"accept": "text/html"})
    for response in (page, client.get("/livez"), client.get("/api/search"), client.post("/api/ask", json={})):
        policy = dict(
            directive.strip().split(" ", 1) for directive in response.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == policy["connect-src"] == "'self'"
        assert policy["img-src"] == "'self' data:"
        assert "unsafe" not in policy["script-src"]
        assert "http" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
    assert page.headers["content-security-policy"].count("'sha256-") == 5


# ---- health, and versions that change


def test_it_is_ready_and_says_by_which_version_and_index(client: httpx.Client, server: RunningServer) -> None:
    live = server.opening.app().active_retriever
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


def test_metrics_count_requests_by_route_and_votes_by_kind(client: httpx.Client, answer: dict) -> None:
    def told() -> dict[str, float]:
        lines = client.get("/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    before = told()
    client.get(f"/api/passages/{answer['citations'][0]['passage_id']}")
    client.get("/", headers={"accept": "text/html"})
    vote = {"turn_id": answer["turn_id"], "token": answer["token"], "verdict": "answer_helpful"}
    client.post("/api/verdicts", json=vote)
    after = told()
    for name in (
        'rag_requests_total{route="/api/passages/{passage_id}",status="200"}',
        'rag_request_seconds_count{route="/api/verdicts"}',
        'rag_requests_total{route="page",status="200"}',
        'rag_feedback_total{target="answer",vote="answer_helpful"}',
    ):
        assert after[name] - before.get(name, 0) == 1, name
    assert not [name for name in after if answer["turn_id"] in name or answer["citations"][0]["passage_id"] in name]
    assert after["rag_index_documents"] >= 2
    assert after["rag_disk_free_bytes"] > 0


def test_a_client_sees_a_promotion_as_one_switch_and_no_failure(
    client: httpx.Client, server: RunningServer, tmp_path: Path
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


def test_a_document_that_came_meanwhile_is_found(client: httpx.Client, server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "bats.md").write_text("# Bats\n\nBats sleep upside down in caves.\n", "utf-8")
    fill(server.opening.app(), tmp_path)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        hits = client.get("/api/search", params={"q": "how do bats sleep", "k": 1}).json()["hits"]
        if "upside down" in hits[0]["text"]:
            break
        time.sleep(0.2)
    assert "upside down" in hits[0]["text"]


def test_passages_that_nobody_encoded_get_their_vectors_once_nothing_changes(
    server: RunningServer, tmp_path: Path
) -> None:
    app, backfill = server.opening.app(), MissingVectorBackfill(delay_s=0)
    (tmp_path / "moles.md").write_text("# Moles\n\nMoles dig in the garden at dawn.\n", "utf-8")
    ingest_paths(app.library, [tmp_path], splitting=SplittingRules(90))
    app.refresh()
    backfill.run(app)  # something has just changed: whoever brought it may be encoding it
    assert app.n_missing_vectors() == 1
    backfill.run(app)
    assert app.n_missing_vectors() == 0
