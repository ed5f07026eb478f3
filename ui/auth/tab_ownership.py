"""Whose a browser tab is: what Gradio keeps for one, by a name that the browser chose, is for its owner only."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers

from rag.errors import ForbiddenError
from ui.middleware.security_headers import AsgiMessage, AsgiReceive

MAX_TRACKED_TABS = 50_000  # tabs; those that were used last
GRADIO_API_PREFIX = "/gradio_api/"
_IN_PATHS = {"heartbeat": 0, "stream": 0, "call": -1}
"""Routes that name a tab, or an event of one, in the path that is read → in which of the parts after the first."""


class TabOwners:
    """The first who uses a tab's name owns it. Threads may share it."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def claim(self, tab: str, name: str) -> None:
        """Raises:
        ForbiddenError: the tab is somebody else's.
        """
        with self._lock:
            owner = self._owners.setdefault(tab, name)
            self._owners.move_to_end(tab)
            if len(self._owners) > MAX_TRACKED_TABS:
                self._owners.popitem(last=False)
        if owner != name:
            raise ForbiddenError("this page was opened by somebody else: load it anew")


async def read_tab_ids(scope: AsgiMessage, receive: AsgiReceive) -> tuple[list[str], AsgiReceive]:
    """Every name of a tab that a request to Gradio holds, and the request's body to be read again.

    Raises:
        ForbiddenError: it is a form, if Gradio reads such names too, and none of our pages sends one.
    """
    found = [value for key, value in parse_qsl(scope["query_string"].decode("latin-1")) if key == "session_hash"]
    if scope["method"] != "POST":
        return found + _in_path(scope["path"]), receive
    if scope["path"].startswith(GRADIO_API_PREFIX + "upload"):
        return found, receive
    if Headers(scope=scope).get("content-type", "").lower().strip().startswith("multipart/"):
        raise ForbiddenError("forms with files are taken for uploads only: send JSON")
    body = await _whole(receive)
    return found + list(_in_json(body)), _again(body, receive)


def _in_path(path: str) -> list[str]:
    route, *parts = path.removeprefix(GRADIO_API_PREFIX).strip("/").split("/")
    return [parts[_IN_PATHS[route]]] if route in _IN_PATHS and parts else []


def _in_json(body: bytes) -> Iterator[str]:
    """Values of all "session_hash" keys; a key that is twice counts twice, for readers differ on which one holds."""
    found: list[Any] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(value for key, value in pairs if key == "session_hash")
        return dict(pairs)

    try:
        json.loads(body, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return  # Gradio will not read it either
    yield from (value for value in found if isinstance(value, str))


async def _whole(receive: AsgiReceive) -> bytes:
    """The body; the shield has capped it."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body


def _again(body: bytes, receive: AsgiReceive) -> AsgiReceive:
    told = False

    async def receive_again() -> AsgiMessage:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
