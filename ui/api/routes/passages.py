"""REST: one passage and its position; for a browser, as a page to read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Request
from fastapi.responses import HTMLResponse

from rag.errors import NotFoundError
from rag.library.library import Library
from rag.records import Passage
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.html.environment import inline_style, render_html
from ui.schemas.rest import PassageSchema


def add_passage_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds this route."""

    @api.get("/api/passages/{passage_id}", response_model=PassageSchema)
    def read_passage(
        request: Request,
        passage_id: Annotated[str, Path(max_length=200, examples=["7f02…"], description="As in hits and citations.")],
    ) -> Any:
        """Returns one passage: its text, its document, page and offsets. A browser gets the same as a page."""
        current_user(request).require_role("reader")
        passage = _passage(opening.app().library, passage_id)
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(render_passage(passage))
        return _passage_json(passage)


def _passage(library: Library, passage_id: str) -> Passage:
    """Returns the passage with this id, ours or its BEIR id.

    Raises:
        NotFoundError: no passage has it; its document may have changed since.
    """
    resolved = library.resolve([passage_id]).get(passage_id, passage_id)
    passages = library.get([resolved])
    if resolved not in passages:
        raise NotFoundError(f"no passage {passage_id!r}: its document was changed or removed; search for it again")
    return passages[resolved]


def _passage_json(passage: Passage) -> dict[str, Any]:
    return {
        "passage_id": passage.public_id,
        "document_id": passage.document_id,
        "source": passage.source,
        "title": passage.title,
        "heading": passage.heading,
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
    }


def render_passage(passage: Passage) -> str:
    """Renders the passage as a page of plain text: markup in its document is shown, not obeyed."""
    location = [
        passage.source,
        *([f"page {passage.page}"] if passage.page else []),
        f"characters {passage.start:,} to {passage.end:,}",
    ]
    return render_html(
        "api/passage.html.j2",
        style=inline_style("plain.css"),
        title=passage.title or passage.source,
        passage=passage,
        location=" · ".join(location),
    )
