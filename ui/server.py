"""The API, the page mounted on it and the shield around both, in a uvicorn that can be stopped from outside."""

from __future__ import annotations

import asyncio
import socket
import warnings
from typing import Any

import gradio as gr
import uvicorn

from ui.api import create_api
from ui.opening import Opening
from ui.shield import LOOPBACK, Shield
from ui.web.look import CSS, make_theme
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


def make_server(opening: Opening, n_cards: int, *, at_once: bool, grace_s: int, any_host: bool) -> Server:
    """A server that runs in `run(sockets)` until `should_exit`; *any_host* takes requests by any name.

    *n_cards* passages are shown beside an answer; *at_once*: votes count until tonight, and say so.
    """
    return asyncio.run(_make_server(opening, n_cards, at_once, grace_s, None if any_host else LOOPBACK))


async def _make_server(
    opening: Opening, n_cards: int, at_once: bool, grace_s: int, hosts: frozenset[str] | None
) -> Server:
    """A coroutine: without a running loop Gradio 6.31 opens one for each of its locks, and closes none."""
    api = create_api(opening)
    with warnings.catch_warnings():
        # Gradio 6.31 says so of every application with several pages, also where nobody asks for it, as here.
        warnings.filterwarnings("ignore", "SSR mode is not supported with multi-page apps", UserWarning)
        mounted = gr.mount_gradio_app(
            api, build_pages(opening, n_cards, at_once=at_once), path="/", theme=make_theme(),
            css_paths=[CSS, CSS.with_name("training.css")],
            footer_links=[], run_history=False, show_error=False, max_file_size=1, allowed_paths=[],
            enable_monitoring=False, ssr_mode=False, pwa=False, mcp_server=False,
        )  # fmt: skip
    gradio_app: Any = mounted.routes[-1].app
    config = uvicorn.Config(Shield(mounted, hosts), log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=grace_s)  # fmt: skip
    return Server(config, gradio_app.stop_event)
