"""An endpoint that speaks OpenAI's protocol over HTTP, well or badly: what the tests of language models talk to."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

KEY = "sk-of-nobody-1234567890"


class Request(BaseHTTPRequestHandler):
    """One question to the endpoint."""

    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({"path": self.path, "key": self.headers["Authorization"], **body})
        try:
            self.server.behave(self)
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()

    def log_message(self, *_: object) -> None:
        pass

    def begin(self, kind: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()  # without a length: the answer ends where the connection does

    def send(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()

    def tell(self, content: str, finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        self.send(f"data: {json.dumps(chunk)}\n\n")


class Endpoint(ThreadingHTTPServer):
    """A language model on this machine that does what the test says."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.behave: Callable[[Request], None] = says("Nothing.")
        self.asked: list[dict] = []
        self.left = threading.Event()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


def says(text: str) -> Callable[[Request], None]:
    def behave(request: Request) -> None:
        request.begin()
        for word in text.split(" "):
            request.tell(word + " ")
        request.tell("", "stop")
        request.send("data: [DONE]\n\n")

    return behave


def refuses(status: int) -> Callable[[Request], None]:
    def behave(request: Request) -> None:
        body = json.dumps({"error": {"message": f"the key {KEY} is no good", "code": "bad"}}).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return behave


def hangs(request: Request) -> None:
    request.server.over.wait(60)


def drips(request: Request) -> None:
    """A sign of life every now and then, and never a word."""
    request.begin()
    while not request.server.over.wait(0.05):
        request.send(": still here\n\n")


def sends(text: str, kind: str = "text/event-stream") -> Callable[[Request], None]:
    def behave(request: Request) -> None:
        request.begin(kind)
        request.send(text)

    return behave


def ends_early(request: Request) -> None:
    """The connection ends in good order, the answer does not."""
    request.begin()
    request.tell("Small firms can get the grant [1]. It is ")


def is_cut(request: Request) -> None:
    """The connection ends in the middle of a chunk."""
    request.protocol_version = "HTTP/1.1"
    request.send_response(200)
    request.send_header("Content-Type", "text/event-stream")
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    event = {"choices": [{"index": 0, "delta": {"content": "Small firms can get the grant [1]. It is "}}]}
    line = f"data: {json.dumps(event)}\n\n"
    request.send(f"{len(line):x}\r\n{line}\r\nffff\r\n")
    request.close_connection = True


@contextmanager
def serving() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def in_nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("OPENAI_", "OLLAMA_", "LANGSMITH_", "LANGCHAIN_")) or name.upper().endswith(
            "_PROXY"
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
