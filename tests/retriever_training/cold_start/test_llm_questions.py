"""Questions that a language model writes: over HTTP from a server on this machine, well and badly."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from rag.errors import ChatModelError
from rag.generation.chat.providers import open_chat_model
from rag.records import Passage
from retriever_training.cold_start.llm_questions import (
    FEW_SHOT_EXAMPLES,
    PASSAGES_PER_BATCH,
    QUESTIONS_PER_PASSAGE,
    SYSTEM_PROMPT,
    write_llm_questions,
)
from retriever_training.cold_start.pseudo_questions import LLM_SOURCE, draw_pseudo_questions

LIBRARY = [
    Passage(
        passage_id=f"p{number}",
        document_id="d",
        source="crops.md",
        title="Crops",
        heading=f"Crop {number}",
        text=f"Sow crop {number} in week {number}.",
        start=0,
        end=24,
    )
    for number in range(PASSAGES_PER_BATCH + 2)
]


class Endpoint(ThreadingHTTPServer):
    """A language model that answers what the test says; None is a failure."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.says: Callable[[str], str | None] = lambda passage: "Who knows?"
        self.asked: list[list[dict[str, str]]] = []


class Request(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
        self.server.asked.append(messages)
        told = self.server.says(messages[-1]["content"])
        choice = {"index": 0, "message": {"role": "assistant", "content": told}, "finish_reason": "stop"}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        body = json.dumps(answer if told is not None else {"error": {"message": "no"}}).encode()
        self.send_response(200 if told is not None else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def write(server: Endpoint, n_passages: int = 100) -> tuple[list[tuple[int, str]], dict[str, int]]:
    model = open_chat_model(
        "openai:m",
        base_url=f"http://127.0.0.1:{server.server_port}/v1",
        api_key=SecretStr("any"),
        timeout_s=10,
        max_tokens=200,
    )
    dropped: Counter[str] = Counter()
    found = list(write_llm_questions(LIBRARY, model, n_passages, 13, dropped))
    return found, {reason: n for reason, n in dropped.items() if n}


def test_the_model_reads_rules_examples_and_the_passage(endpoint: Endpoint) -> None:
    write(endpoint, n_passages=1)
    (messages,) = endpoint.asked
    assert [message["role"] for message in messages] == [
        "system",
        *["user", "assistant"] * len(FEW_SHOT_EXAMPLES),
        "user",
    ]
    assert messages[0]["content"] == SYSTEM_PROMPT
    assert messages[-1]["content"] in {passage.encoded_text for passage in LIBRARY}


def test_each_line_is_a_question_without_its_number(endpoint: Endpoint) -> None:
    endpoint.says = lambda passage: f"1. When do I sow it?\n- how late\n\n{'Q: And where?'}\nA fourth one?"
    found, dropped = write(endpoint, n_passages=1)
    assert [question for _, question in found] == ["When do I sow it?", "how late", "And where?"]
    assert dropped == {f"{LLM_SOURCE}: more than was asked for": 1}
    assert QUESTIONS_PER_PASSAGE == 3


def test_questions_about_the_passage_are_left_out(endpoint: Endpoint) -> None:
    endpoint.says = lambda passage: "What does the passage say?\nwhen to sow"
    found, dropped = write(endpoint, n_passages=1)
    assert [question for _, question in found] == ["when to sow"]
    assert dropped == {f"{LLM_SOURCE}: asks of the passage instead of its subject": 1}


def test_a_failure_costs_its_passage_only_and_the_rows_stay_right(endpoint: Endpoint) -> None:
    endpoint.says = lambda passage: None if "Crop 3\n" in passage else f"{passage.splitlines()[1]} when?"
    found, dropped = write(endpoint)
    assert found == [(row, f"Crop {row} when?") for row in range(len(LIBRARY)) if row != 3]
    ((reason, n),) = dropped.items()
    assert n == 1
    assert re.fullmatch(f"{LLM_SOURCE}: failed, .*BadRequestError, HTTP 400", reason)


def test_a_model_that_only_fails_is_an_error_with_a_way_out(endpoint: Endpoint) -> None:
    endpoint.says = lambda passage: None
    with pytest.raises(
        ChatModelError, match=r"wrote no question \(.*BadRequestError, HTTP 400\): check generator.model"
    ):
        write(endpoint)
    assert len(endpoint.asked) == PASSAGES_PER_BATCH


def test_written_questions_take_nothing_out_of_their_passage() -> None:
    drawn = draw_pseudo_questions(LIBRARY, 13, llm_questions=[(2, "when to sow crop two")], sources=())
    assert [
        (pseudo_question.question, pseudo_question.source, list(pseudo_question.left))
        for pseudo_question in drawn.questions
    ] == [("when to sow crop two", LLM_SOURCE, [2])]
    assert drawn.texts == tuple(passage.encoded_text for passage in LIBRARY)
