"""Server-sent events: an answer written piece by piece to a client that may go away at any time.

FastAPI's own machinery for them starts a response before the generator's first event. Here that event is awaited first,
so that a question that is refused has its HTTP status; only the events and their wire format are FastAPI's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, ServerSentEvent, format_sse_event

from rag.errors import NightjarError
from ui.actions.ask import AnswerEvent
from ui.schemas.errors import UNEXPECTED_ERROR, http_status

SSE_MEDIA_TYPE = EventSourceResponse.media_type
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}  # a proxy must not hold pieces back
KEEPALIVE_EVERY = 15  # silent seconds: `AsyncAnswerer.stream` yields None each second in which nothing happens

ToServerSentEvents = Callable[[AnswerEvent], Awaitable[Iterable[ServerSentEvent]]]
"""Turns an event of an answer into the events that are sent."""
FailureToEvent = Callable[[str, int], ServerSentEvent]
"""Turns a message and the HTTP status that it would have had into the event that is sent if the answer breaks off."""

_ENDS_A_LINE = {
    ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"
}  # for clients that split lines as Python does

log = logging.getLogger(__name__)


async def stream_events(
    events: AsyncGenerator[AnswerEvent | None],
    to_sent: ToServerSentEvents,
    failure_to_event: FailureToEvent,
    end: ServerSentEvent | None = None,
) -> EventSourceResponse:
    """Returns the response that sends *events* as they come, and then *end*.

    Raises:
        NightjarError: before the first event, so that what is refused has its HTTP status.
    """
    first = await anext(events)
    while first is None:
        first = await anext(events)
    chunks = _chunks(_encode_all(await to_sent(first)), events, to_sent, failure_to_event, end)
    return EventSourceResponse(chunks, headers=SSE_HEADERS)


async def _chunks(
    first: bytes,
    events: AsyncGenerator[AnswerEvent | None],
    to_sent: ToServerSentEvents,
    failure_to_event: FailureToEvent,
    end: ServerSentEvent | None,
) -> AsyncIterator[bytes]:
    yield first
    n_silent = 0
    async with aclosing(events):
        try:
            async for event in events:
                n_silent = 0 if event else n_silent + 1
                if event:
                    yield _encode_all(await to_sent(event))
                elif n_silent % KEEPALIVE_EVERY == 0:
                    yield KEEPALIVE_COMMENT
        except NightjarError as error:
            yield encode_event(failure_to_event(str(error), http_status(error)))
        except Exception:
            log.exception("an answer failed while it was streamed")
            yield encode_event(failure_to_event(UNEXPECTED_ERROR, 500))
    if end:
        yield encode_event(end)


def _encode_all(events: Iterable[ServerSentEvent]) -> bytes:
    return b"".join(map(encode_event, events))


def encode_event(event: ServerSentEvent) -> bytes:
    r"""Returns the event as it is sent; letters beyond ASCII stay letters, which FastAPI alone would write as escapes.

    >>> print(encode_event(ServerSentEvent(event="text", data={"delta": "Äh\u2028"})).decode().rstrip())
    event: text
    data: {"delta": "Äh\u2028"}
    """
    data = event.raw_data if event.data is None else _to_json(event.data)
    return format_sse_event(data_str=data, event=event.event)


def _to_json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False).translate(_ENDS_A_LINE)
