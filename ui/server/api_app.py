"""The interfaces for programs, put together: REST, OpenAI's, their description, and MCP if it is wanted."""

from __future__ import annotations

from types import ModuleType

from fastapi import FastAPI

from rag.errors import SettingsError
from ui.actions.ask import AsyncAnswerer
from ui.api.docs_page import add_docs_page
from ui.api.openapi import customise_openapi
from ui.api.routes.comparisons import add_comparison_routes
from ui.api.routes.conversation_files import add_conversation_file_routes
from ui.api.routes.conversations import add_conversation_routes
from ui.api.routes.documents import add_document_routes
from ui.api.routes.health import add_health_routes
from ui.api.routes.insights import add_insight_routes
from ui.api.routes.jobs import add_job_routes
from ui.api.routes.passages import add_passage_routes
from ui.api.routes.questions import add_question_routes
from ui.api.routes.reports import add_report_routes
from ui.api.routes.training import add_training_routes
from ui.api.routes.verdicts import add_verdict_routes
from ui.background.startup import AppStartup
from ui.openai_api.routes import add_openai_routes
from ui.schemas.errors import add_error_handlers
from ui.server.metrics import add_metrics_route
from ui.version import nightjar_version


def create_api(opening: AppStartup, *, mcp: bool = False) -> FastAPI:
    """Makes the application that serves programs, on which the web pages are mounted; *mcp* adds the MCP server.

    Raises:
        SettingsError: *mcp* is set, and its package is not installed.
    """
    # FastAPI's own /docs loads its scripts from another host; ours is at /api/docs.
    api = FastAPI(
        title="Nightjar", version=nightjar_version(), docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    asking = AsyncAnswerer(opening.app)
    add_question_routes(api, opening, asking)
    add_verdict_routes(api, opening)
    add_passage_routes(api, opening)
    add_conversation_routes(api, opening)
    add_job_routes(api, opening)
    add_document_routes(api, opening)
    add_conversation_file_routes(api, opening)
    add_training_routes(api, opening)
    add_report_routes(api, opening)
    add_insight_routes(api, opening)
    add_comparison_routes(api, opening)
    add_openai_routes(api, opening, asking)
    add_health_routes(api, opening)
    add_metrics_route(api, opening)
    add_error_handlers(api)
    customise_openapi(api)
    add_docs_page(api)
    if mcp:
        import_mcp_server().mount_mcp_server(api, opening.app, asking)
    return api


def import_mcp_server() -> ModuleType:
    """Imports the module of the MCP server, whose package is an extra.

    Raises:
        SettingsError: the package is not installed.
    """
    try:
        from ui.mcp import server
    except ImportError as error:
        raise SettingsError(
            f"the Model Context Protocol needs a package that is not installed ({error}): "
            "pip install 'nightjar-rag[mcp]', or leave server.mcp off"
        ) from error
    return server
