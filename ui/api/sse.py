"""Server-sent events: an answer written piece by piece to a client that may go away at any time."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, format_sse_event

from rag.errors import NightjarError
from ui.actions.ask import AnswerEvent
from ui.schemas.errors import UNEXPECTED_ERROR, http_status

SSE_MEDIA_TYPE = "text/event-stream"
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}  # a proxy must not hold pieces back
HEARTBEAT = format_sse_event(
    comment="nothing yet"
).decode()  # a comment, which clients pass over and which keeps the connection from being cut
HEARTBEAT_EVERY = 15  # of the looks of `Asking.stream`, a second each

FormatEvent = Callable[[AnswerEvent], Awaitable[str]]
"""What is sent for an event; "" sends nothing."""
FormatFailure = Callable[[str, int], str]
"""What is sent if the answer breaks off, of a message and the HTTP status that it would have had."""

_ENDS_A_LINE = {
    ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"
}  # to clients that split lines as Python does

log = logging.getLogger(__name__)


async def stream_events(
    events: AsyncGenerator[AnswerEvent | None], format_event: FormatEvent, format_failure: FormatFailure, end: str = ""
) -> Response:
    """The response that sends *events* as they come, and then *end*.

    Raises:
        NightjarError: before the first event, so that what is refused has its HTTP status.
    """
    first = await anext(events)
    while first is None:
        first = await anext(events)
    pieces = _pieces(await format_event(first), events, format_event, format_failure, end)
    return EventSourceResponse(pieces, headers=SSE_HEADERS)


async def _pieces(
    first: str, events: AsyncGenerator[AnswerEvent | None], write: FormatEvent, fail: FormatFailure, end: str
) -> AsyncIterator[str]:
    yield first
    n_silent = 0
    async with aclosing(events):
        try:
            async for event in events:
                n_silent = 0 if event else n_silent + 1
                piece = await write(event) if event else HEARTBEAT if n_silent % HEARTBEAT_EVERY == 0 else ""
                if piece:
                    yield piece
        except NightjarError as error:
            yield fail(str(error), http_status(error))
        except Exception:
            log.exception("an answer failed while it was streamed")
            yield fail(UNEXPECTED_ERROR, 500)
    if end:
        yield end


def format_sse(data: dict[str, Any], name: str = "") -> str:
    r"""One event.

    >>> format_sse({"delta": "Äh"}, "text")
    'event: text\ndata: {"delta": "Äh"}\n\n'
    """
    text = json.dumps(data, ensure_ascii=False).translate(_ENDS_A_LINE)
    return format_sse_event(data_str=text, event=name or None).decode()
