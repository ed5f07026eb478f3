"""`nightjar mcp`: the tools search and ask for an agent on this machine, over stdin and stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ui.commands.console import load_command_settings

if TYPE_CHECKING:
    from rag.app.app import App


def mcp(context: typer.Context) -> None:
    """Serve the tools search and ask to an agent, by the Model Context Protocol over stdin and stdout.

    The agent starts this command itself; it needs nightjar-rag\\[mcp], and may run alongside the application.

    [bold]Example[/bold]

    nightjar --data nightjar-data mcp
    """
    from ui.actions.ask import AsyncAnswerer
    from ui.background.startup import AppStartup
    from ui.server.api_app import import_mcp_server
    from ui.version import nightjar_version

    server, settings = import_mcp_server(), load_command_settings(context)

    def open_() -> App:
        from rag.app.app import open_app

        return open_app(settings)

    opening = AppStartup(open_)

    def app() -> App:
        """Returns the application after taking in changes: nothing else refreshes it here."""
        opened = opening.app()
        opened.refresh()
        return opened

    try:
        server.create_mcp_server(app, AsyncAnswerer(app), nightjar_version()).run("stdio")
    finally:
        opening.close()
