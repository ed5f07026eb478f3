"""The stream of an answer's events: its bytes, its silences, its failures, and what comes before the status code."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator

import pytest
from fastapi.sse import ServerSentEvent

from rag.answering.answerer import TextDelta
from rag.errors import BusyError, UsageError
from ui.api.sse import KEEPALIVE_EVERY, encode_event, stream_events


async def to_sent(event: TextDelta) -> list[ServerSentEvent]:
    return [ServerSentEvent(event="text", data={"delta": event.delta})]


def failure_to_event(message: str, status: int) -> ServerSentEvent:
    return ServerSentEvent(event="error", data={"error": message, "status": status})


async def events(*steps: str | Exception | None) -> AsyncGenerator[TextDelta | None]:
    for step in steps:
        if isinstance(step, Exception):
            raise step
        yield None if step is None else TextDelta(step)


def sent(*steps: str | Exception | None, end: ServerSentEvent | None = None) -> tuple[bytes, dict[str, str]]:
    """What a client reads, and the headers before it."""

    async def read() -> tuple[bytes, dict[str, str]]:
        response = await stream_events(events(*steps), to_sent, failure_to_event, end)  # type: ignore[arg-type]
        return b"".join([chunk async for chunk in response.body_iterator]), dict(response.headers)  # type: ignore[misc]

    return asyncio.run(read())


def test_the_bytes_are_the_events_in_order_and_then_the_end() -> None:
    body, headers = sent("Grüße", None, "b", end=ServerSentEvent(raw_data="[DONE]"))
    assert body == (
        'event: text\ndata: {"delta": "Grüße"}\n\nevent: text\ndata: {"delta": "b"}\n\ndata: [DONE]\n\n'.encode()
    )
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")


def test_a_comment_keeps_a_silent_connection_open_every_fifteen_seconds() -> None:
    silence = [None] * KEEPALIVE_EVERY
    body, _ = sent("a", *silence, *silence[1:], "b", *silence[1:])
    assert KEEPALIVE_EVERY == 15
    assert body.count(b": ping\n\n") == 1
    assert body.split(b"\n\n")[1] == b": ping"


@pytest.mark.parametrize("before", [[], [None, None]])
def test_an_error_before_the_first_event_is_raised_so_that_it_gets_its_own_status(before: list[None]) -> None:
    with pytest.raises(UsageError, match="the question is empty"):
        sent(*before, UsageError("the question is empty"))


def test_an_error_after_it_is_an_event_with_the_status_that_it_would_have_had() -> None:
    body, _ = sent("a", BusyError("full"), end=ServerSentEvent(raw_data="[DONE]"))
    assert body.split(b"\n\n")[1:] == [b'event: error\ndata: {"error": "full", "status": 503}', b"data: [DONE]", b""]


def test_an_error_that_nobody_foresaw_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "ui.api.sse"):
        body, _ = sent("a", ValueError("a secret"))
    assert b'"status": 500' in body
    assert b"secret" not in body
    assert "a secret" in caplog.text


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\x85b", "a\u2028b", "a\u2029b"])
def test_a_line_break_in_a_text_never_ends_the_line(text: str) -> None:
    lines = encode_event(ServerSentEvent(data={"delta": text})).decode().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0].removeprefix("data: ")) == {"delta": text}
