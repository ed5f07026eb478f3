"""The API, the pages mounted on it and the middleware around both, in a uvicorn that can be stopped from outside."""

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
    """Makes a server, whose `run(sockets)` ends at `should_exit`; people sign in through *auth_stack*, if there is one.

    Raises:
        SettingsError: `server.mcp` is set, and its package is not installed.
    """
    return asyncio.run(_make_server(opening, settings, grace_s, auth_stack))


async def _make_server(
    opening: AppStartup, settings: Settings, grace_s: int, auth_stack: AuthStack | None
) -> StoppableServer:
    """Is a coroutine because Gradio 6.31, without a running loop, opens one for each of its locks and closes none."""
    uploads = UploadRules.of(settings.server)
    mounted = create_application(opening, settings, accounts=auth_stack is not None)
    gradio_app: Any = mounted.routes[-1]
    front = wrap_in_middleware(settings, auth_stack, UploadMiddleware(mounted, uploads), uploads.max_bytes)
    # No proxy_headers: uvicorn believes anybody on this machine; trusted_proxies.py only whom the settings name.
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
    """Makes API and pages without the middleware; with *accounts* the pages show who is signed in.

    Raises:
        SettingsError: `server.mcp` is set, and its package is not installed.
    """
    api, uploads = create_api(opening, mcp=settings.server.mcp), UploadRules.of(settings.server)
    add_script(api)
    retrieval = settings.retrieval
    with warnings.catch_warnings():
        # Gradio 6.31 warns about every application with several pages, even if SSR is off, as it is here.
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
