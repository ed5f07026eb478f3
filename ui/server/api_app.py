"""The doors for programs, put together: REST, OpenAI's interface, and what describes them."""

from __future__ import annotations

from importlib import metadata
from types import ModuleType

from fastapi import FastAPI

from rag.errors import SettingsError
from ui.actions.ask import Asking
from ui.api.docs_page import add_page
from ui.api.openapi import describe
from ui.api.routes.comparisons import add_comparing
from ui.api.routes.conversation_files import add_conversations
from ui.api.routes.conversations import add_own_conversations
from ui.api.routes.documents import add_documents
from ui.api.routes.health import add_health
from ui.api.routes.insights import add_insights
from ui.api.routes.jobs import add_jobs
from ui.api.routes.passages import add_passages
from ui.api.routes.questions import add_questions
from ui.api.routes.reports import add_reports
from ui.api.routes.training import add_training
from ui.api.routes.verdicts import add_verdicts
from ui.background.startup import Opening
from ui.openai_api.routes import add_openai
from ui.schemas.errors import add_errors
from ui.server.metrics import add_metrics


def create_api(opening: Opening, *, mcp: bool = False) -> FastAPI:
    """The application programming interface, ready for the web page to be mounted on; *mcp* adds that door too.

    Raises:
        SettingsError: *mcp*, and its package is not installed.
    """
    # FastAPI's own /docs loads its scripts from another host; ours is at /api/docs.
    api = FastAPI(title="Nightjar", version=version(), docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    asking = Asking(opening.app)
    add_questions(api, opening, asking)
    add_verdicts(api, opening)
    add_passages(api, opening)
    add_own_conversations(api, opening)
    add_jobs(api, opening)
    add_documents(api, opening)
    add_conversations(api, opening)
    add_training(api, opening)
    add_reports(api, opening)
    add_insights(api, opening)
    add_comparing(api, opening)
    add_openai(api, opening, asking)
    add_health(api, opening)
    add_metrics(api, opening)
    add_errors(api)
    describe(api)
    add_page(api)
    if mcp:
        mcp_door().add_mcp(api, opening.app, asking)
    return api


def mcp_door() -> ModuleType:
    """The module, whose package is an extra.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        from ui.mcp import server as door
    except ImportError as error:
        raise SettingsError(f"the Model Context Protocol needs a package that is not here ({error}): "
                            "pip install 'nightjar-rag[mcp]', or leave server.mcp off") from error  # fmt: skip
    return door


def version() -> str:
    """The release of the application."""
    try:
        return metadata.version("nightjar-rag")
    except metadata.PackageNotFoundError:
        return "0+source"  # run from a clone that was not installed
