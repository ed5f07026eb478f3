"""OpenAI's interface, used by OpenAI's own client against a real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from rag.generation.generator import MODEL_FAILED_NOTE
from tests.fixtures.running_server import served
from ui.server.serve import RunningServer

GRANT = [{"role": "user", "content": "Who can get the grant?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with served(tmp_path_factory.mktemp("openai")) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="any word", max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=30) as opened:
        yield opened


def test_the_one_model_is_listed_and_found_by_its_name(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["nightjar"]
    assert client.models.retrieve("nightjar").object == "model"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-4")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_an_answer_is_a_chat_completion_with_its_tokens_counted(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="nightjar", messages=GRANT)
    (choice,) = answer.choices
    assert "Nurses who work at night can get the grant of 500 pounds." in choice.message.content
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert answer.usage.prompt_tokens == 6  # who can get the grant ?
    assert answer.usage.completion_tokens >= 13
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_an_annotation_stands_on_its_mark_and_leads_to_the_passage(client: openai.OpenAI, http: httpx.Client) -> None:
    message = client.chat.completions.create(model="nightjar", messages=GRANT).choices[0].message
    cited = message.annotations[0].url_citation
    assert message.content[cited.start_index : cited.end_index] == "[1]"
    assert cited.title == "The grant"
    passage = http.get(cited.url).json()
    assert passage["source"].endswith("grant.md")
    assert cited.content in passage["text"]


def test_a_stream_holds_the_same_text_then_the_citations_then_the_count(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="nightjar", messages=GRANT)
    chunks = list(
        client.chat.completions.create(
            model="nightjar", messages=GRANT, stream=True, stream_options={"include_usage": True}
        )
    )
    *pieces, end, counted = chunks
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert "".join(piece.choices[0].delta.content for piece in pieces) == whole.choices[0].message.content
    assert [piece.choices[0].finish_reason for piece in pieces] == [None] * len(pieces)
    assert end.choices[0].finish_reason == "stop"
    assert end.choices[0].delta.annotations[0]["url_citation"]["title"] == "The grant"
    assert (counted.choices, counted.usage) == ([], whole.usage)


def test_a_stream_ends_with_the_word_that_clients_wait_for(http: httpx.Client) -> None:
    body = {"model": "nightjar", "messages": GRANT, "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert lines[-1] == "data: [DONE]"
    assert "usage" not in json.loads(lines[-2].removeprefix("data: "))


def test_the_messages_before_the_question_are_what_it_follows_up(client: openai.OpenAI, server: RunningServer) -> None:
    said = [
        {"role": "system", "content": "You are a pirate."},
        *GRANT,
        {"role": "assistant", "content": "Nurses. [1]"},
        {"role": "user", "content": [{"type": "text", "text": "How much is it?"}]},
    ]
    answer = client.chat.completions.create(
        model="nightjar", messages=said, temperature=0.3, metadata={"conversation_id": "c-1"}
    )
    assert answer.nightjar["question"] == "Who can get the grant? How much is it?"
    assert "500 pounds" in answer.choices[0].message.content
    turn = server.opening.app().feedback.turn(answer.nightjar["turn_id"])
    assert (turn.asked, turn.conversation_id, turn.user) == ("How much is it?", "c-1", "local")


def test_a_client_can_vote_with_what_comes_along(
    client: openai.OpenAI, http: httpx.Client, server: RunningServer
) -> None:
    told = client.chat.completions.create(model="nightjar", messages=GRANT).nightjar
    vote = {"turn_id": told["turn_id"], "token": told["token"], "passage_id": told["passage_ids"][0]}
    assert http.post("/api/verdicts", json={**vote, "verdict": "helpful"}).status_code == 200
    stored = server.opening.app().feedback.standing("local", told["turn_id"])
    assert [turn.verdict for turn in stored] == ["helpful"]


def test_an_answer_that_declines_is_an_answer_without_annotations(client: openai.OpenAI) -> None:
    asked = [{"role": "user", "content": "Which planet has the most moons?"}]
    answer = client.chat.completions.create(model="nightjar", messages=asked)
    assert answer.nightjar["declined"]
    assert answer.choices[0].message.annotations == []


@pytest.mark.parametrize(
    ("wanted", "param", "code"),
    [
        ({"model": "gpt-4"}, "model", "model_not_found"),
        ({"n": 2}, "n", "unsupported_value"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "unsupported_parameter"),
        ({"messages": [*GRANT, {"role": "assistant", "content": "Nurses."}]}, "messages", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
            "messages",
            "unsupported_content",
        ),
        ({"messages": []}, "messages", None),
        ({"messages": [{"role": "user", "content": "  "}]}, None, None),
    ],
)
def test_what_it_can_not_do_is_refused_as_openai_would(client: openai.OpenAI, wanted: dict, param, code) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(**{"model": "nightjar", "messages": GRANT, **wanted})
    assert (refused.value.param, refused.value.code) == (param, code)
    assert refused.value.type in {"invalid_request_error", "not_found_error"}


def test_a_stream_that_is_refused_has_its_status_and_no_events(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="the question is empty"):
        client.chat.completions.create(model="nightjar", messages=[{"role": "user", "content": " "}], stream=True)


def test_an_unknown_call_below_v1_is_told_as_openai_would(http: httpx.Client) -> None:
    refused = http.post("/v1/embeddings", json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_url")


def test_a_nightjar_that_is_its_own_language_model_quotes_and_asks_itself_no_further(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    itself = {"model": "openai:nightjar", "base_url": f"http://127.0.0.1:{port}/v1", "api_key": "any", "retries": 0}
    with served(tmp_path, server={"port": port}, generator=itself) as server:
        asked = {"model": "nightjar", "messages": GRANT}
        answer = httpx.post(f"{server.address}/v1/chat/completions", json=asked, timeout=60).json()
        assert "Nurses who work at night" in answer["choices"][0]["message"]["content"]
        assert MODEL_FAILED_NOTE in answer["choices"][0]["message"]["content"]
        assert server.opening.app().feedback.n_turns("asked") == 1
