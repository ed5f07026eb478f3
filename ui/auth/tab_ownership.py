"""Who owns a browser tab: what Gradio keeps under a name that the browser chose is for the owner of the tab only."""

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

MAX_TRACKED_TABS = 50_000  # the tabs used last are kept
GRADIO_API_PREFIX = "/gradio_api/"
_IN_PATHS = {"heartbeat": 0, "stream": 0, "call": -1}
"""Routes whose path names a tab, or an event of one → the position of that name among the parts after the route."""


class TabOwners:
    """Gives each tab to the first person who uses its name. Threads may share it."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def claim(self, tab: str, name: str) -> None:
        """Makes *name* the owner of a tab that nobody owns.

        Raises:
            ForbiddenError: the tab is somebody else's.
        """
        with self._lock:
            owner = self._owners.setdefault(tab, name)
            self._owners.move_to_end(tab)
            if len(self._owners) > MAX_TRACKED_TABS:
                self._owners.popitem(last=False)
        if owner != name:
            raise ForbiddenError("this page was opened by somebody else: reload it")


async def read_tab_ids(scope: AsgiMessage, receive: AsgiReceive) -> tuple[list[str], AsgiReceive]:
    """Returns every tab name in a request to Gradio, and a *receive* from which the body can be read again.

    Raises:
        ForbiddenError: it is a form with files; Gradio reads names there too, and none of our pages sends one.
    """
    tab_ids = [value for key, value in parse_qsl(scope["query_string"].decode("latin-1")) if key == "session_hash"]
    if scope["method"] != "POST":
        return tab_ids + _in_path(scope["path"]), receive
    if scope["path"].startswith(GRADIO_API_PREFIX + "upload"):
        return tab_ids, receive
    if Headers(scope=scope).get("content-type", "").lower().strip().startswith("multipart/"):
        raise ForbiddenError("forms with files are taken for uploads only: send JSON")
    body = await _read_body(receive)
    return tab_ids + list(_in_json(body)), _replay(body, receive)


def _in_path(path: str) -> list[str]:
    route, *parts = path.removeprefix(GRADIO_API_PREFIX).strip("/").split("/")
    return [parts[_IN_PATHS[route]]] if route in _IN_PATHS and parts else []


def _in_json(body: bytes) -> Iterator[str]:
    """Yields the values of all "session_hash" keys, also of a repeated key: parsers differ on which value counts."""
    values: list[Any] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values.extend(value for key, value in pairs if key == "session_hash")
        return dict(pairs)

    try:
        json.loads(body, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return  # Gradio will not read it either
    yield from (value for value in values if isinstance(value, str))


async def _read_body(receive: AsgiReceive) -> bytes:
    """Reads the whole body, whose size SecurityMiddleware has capped."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body


def _replay(body: bytes, receive: AsgiReceive) -> AsgiReceive:
    is_replayed = False

    async def receive_again() -> AsgiMessage:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
