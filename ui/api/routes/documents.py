"""REST: the documents that the library holds, and questions that they do not answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response

from rag.insights.document_listing import DocumentQuery
from ui.actions.list_gaps import DEFAULT_N_GAPS, list_gaps
from ui.actions.remove_documents import remove_documents
from ui.auth.current_user import current_user
from ui.background.ingest_queue import check_removal_allowed
from ui.background.startup import AppStartup
from ui.serializers.answers import document_json, gap_json, passage_with_tally_json, removal_json

MAX_OFFSET = 10**9  # every database accepts it
DocumentId = Annotated[str, Path(min_length=1, max_length=200)]


def add_document_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""

    @api.get("/api/documents")
    def documents(
        response: Response,
        q: Annotated[str, Query(max_length=1000)] = "",
        sort: str = "source",
        only: str = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    ) -> list[dict[str, Any]]:
        """Lists the documents of the library, a page at a time; the header "x-total-count" holds their number.

        "q" is a part of the source or title. "sort" is source, title, type, passages, size, added, helpful, not_relevant,
        outdated or cited; a minus before it reverses the order. "only" is outdated, encoding or replaced.
        """
        listed, n = opening.app().document_listing().page(DocumentQuery(q, sort, only), limit, offset)
        response.headers["x-total-count"] = str(n)
        return [document_json(document) for document in listed]

    @api.get("/api/documents/{document_id}")
    def document(
        document_id: DocumentId,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    ) -> dict[str, Any]:
        """Returns one document and, in reading order, some of its passages with their verdicts and citations."""
        catalogue = opening.app().document_listing()
        passages = catalogue.passages(document_id, limit, offset)
        return document_json(catalogue.get(document_id)) | {
            "passages": [passage_with_tally_json(*passage) for passage in passages]
        }

    @api.delete("/api/documents")
    def remove(request: Request, source: Annotated[str, Query(min_length=1, max_length=4096)]) -> dict[str, Any]:
        """Removes a document, or all below a folder, with passages, vectors and verdicts; "versions" learned from it."""
        app = opening.app()
        current_user(request).require_role("administrator")
        check_removal_allowed(app.settings.server.folders)
        return removal_json(remove_documents(app, source))

    _add_gaps(api, opening)


def _add_gaps(api: FastAPI, opening: AppStartup) -> None:
    @api.get("/api/gaps")
    def gaps(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = DEFAULT_N_GAPS) -> list[dict[str, Any]]:
        """Lists questions that found nothing, grouped by what they ask: all for an administrator, else your own."""
        return [gap_json(*gap) for gap in list_gaps(opening.app(), current_user(request), limit)]
