"""The API, the page mounted on it and what is in front of both, in a uvicorn that can be stopped from outside."""

from __future__ import annotations

import asyncio
import socket
import warnings
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from rag.settings import Settings
from ui.auth.middleware import AuthStack
from ui.auth.setup import wrap_in_middleware
from ui.background.startup import AppStartup
from ui.background.uploads import UploadMiddleware, UploadRules
from ui.server.api_app import create_api
from ui.web.components.client_script import SCRIPT_TAG, add_script
from ui.web.components.theme import STYLE_SHEETS, make_theme
from ui.web.pages import build_pages


class StoppableServer(uvicorn.Server):
    """Ends the streams that keep a browser's session alive before it waits for the answers under way."""

    def __init__(self, config: uvicorn.Config, sessions_over: asyncio.Event) -> None:
        super().__init__(config)
        self._sessions_over = sessions_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn in its own loop, once `should_exit` is true."""
        self._sessions_over.set()
        await super().shutdown(sockets)


def create_server(
    opening: AppStartup, settings: Settings, *, grace_s: int, auth_stack: AuthStack | None = None
) -> StoppableServer:
    """A server that runs in `run(sockets)` until `should_exit`; people come in through *auth_stack*, if there is one.

    Raises:
        SettingsError: `server.mcp` is set, and its package is not installed.
    """
    return asyncio.run(_make_server(opening, settings, grace_s, auth_stack))


async def _make_server(
    opening: AppStartup, settings: Settings, grace_s: int, door: AuthStack | None
) -> StoppableServer:
    """A coroutine: without a running loop Gradio 6.31 opens one for each of its locks, and closes none."""
    uploads = UploadRules.of(settings.server)
    mounted = create_application(opening, settings, accounts=door is not None)
    gradio_app: Any = mounted.routes[-1]
    front = wrap_in_middleware(settings, door, UploadMiddleware(mounted, uploads), uploads.max_bytes)
    # No proxy_headers: uvicorn believes whoever speaks from this machine. trusted_proxies.py believes whom the settings name.
    config = uvicorn.Config(
        front,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_s,
    )
    return StoppableServer(config, gradio_app.app.stop_event)


def create_application(opening: AppStartup, settings: Settings, *, accounts: bool) -> FastAPI:
    """API and pages, with nobody in front; *accounts*: the pages say who is signed in.

    Raises:
        SettingsError: `server.mcp` is set, and its package is not installed.
    """
    api, uploads = create_api(opening, mcp=settings.server.mcp), UploadRules.of(settings.server)
    add_script(api)
    retrieval = settings.retrieval
    with warnings.catch_warnings():
        # Gradio 6.31 says so of every application with several pages, also if nobody asks for it, as here.
        warnings.filterwarnings("ignore", "SSR mode is not supported with multi-page apps", UserWarning)
        mounted: FastAPI = gr.mount_gradio_app(
            api,
            build_pages(opening, retrieval.k, at_once=retrieval.until_tonight, accounts=accounts),
            path="/",
            theme=make_theme(),
            head=SCRIPT_TAG,
            css_paths=STYLE_SHEETS,
            footer_links=[],
            run_history=False,
            show_error=False,
            allowed_paths=[],
            max_file_size=max(1, uploads.max_bytes),
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
        )
    return mounted
