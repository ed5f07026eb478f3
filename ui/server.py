"""The API, the page mounted on it and the shield around both, in a uvicorn that can be stopped from outside."""

from __future__ import annotations

import asyncio
import socket
import warnings
from typing import Any

import gradio as gr
import uvicorn

from rag.settings import Settings
from ui.api import create_api
from ui.opening import Opening
from ui.shield import LOOPBACK, Shield
from ui.uploads import UploadDoor, UploadRules
from ui.web.look import SHEETS, make_theme
from ui.web.pages import build_pages


class Server(uvicorn.Server):
    """Ends the streams that keep a browser's session alive before it waits for the answers under way."""

    def __init__(self, config: uvicorn.Config, sessions_over: asyncio.Event) -> None:
        super().__init__(config)
        self._sessions_over = sessions_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn in its own loop, once `should_exit` is true."""
        self._sessions_over.set()
        await super().shutdown(sockets)


def make_server(opening: Opening, settings: Settings, *, grace_s: int, any_host: bool) -> Server:
    """A server that runs in `run(sockets)` until `should_exit`; *any_host* takes requests by any name.

    Raises:
        SettingsError: `server.mcp` is set, and its package is not installed.
    """
    return asyncio.run(_make_server(opening, settings, grace_s, None if any_host else LOOPBACK))


async def _make_server(opening: Opening, settings: Settings, grace_s: int, hosts: frozenset[str] | None) -> Server:
    """A coroutine: without a running loop Gradio 6.31 opens one for each of its locks, and closes none."""
    api, uploads = create_api(opening, mcp=settings.server.mcp), UploadRules.of(settings.server)
    retrieval = settings.retrieval
    with warnings.catch_warnings():
        # Gradio 6.31 says so of every application with several pages, also where nobody asks for it, as here.
        warnings.filterwarnings("ignore", "SSR mode is not supported with multi-page apps", UserWarning)
        mounted = gr.mount_gradio_app(
            api, build_pages(opening, retrieval.k, at_once=retrieval.until_tonight), path="/", theme=make_theme(),
            css_paths=SHEETS, footer_links=[], run_history=False, show_error=False, allowed_paths=[],
            max_file_size=max(1, uploads.max_bytes), enable_monitoring=False, ssr_mode=False, pwa=False, mcp_server=False,
        )  # fmt: skip
    gradio_app: Any = mounted.routes[-1].app
    shielded = Shield(UploadDoor(mounted, uploads), hosts, uploads.max_bytes)
    config = uvicorn.Config(shielded, log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=grace_s)  # fmt: skip
    return Server(config, gradio_app.stop_event)
