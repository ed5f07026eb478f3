"""REST: one passage and where it is; to a browser, as a page that can be read."""

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
    """Adds this call."""

    @api.get("/api/passages/{passage_id}", response_model=PassageSchema)
    def passage(
        request: Request,
        passage_id: Annotated[str, Path(max_length=200, examples=["7f02…"], description="As hits and citations say.")],
    ) -> Any:
        """One passage: its text, its document, page and offsets. A browser gets the same as a page."""
        current_user(request).require_role("reader")
        found = _passage(opening.app().library, passage_id)
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(render_passage(found))
        return _passage_json(found)


def _passage(library: Library, passage_id: str) -> Passage:
    """The passage with this id, ours or its BEIR id.

    Raises:
        NotFoundError: there is none; its document may have changed since.
    """
    resolved = library.resolve([passage_id]).get(passage_id, passage_id)
    found = library.get([resolved])
    if resolved not in found:
        raise NotFoundError(f"no passage {passage_id!r}: its document was changed or removed; search for it anew")
    return found[resolved]


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
    """The passage as a page of text, without anything that its document could bring with it."""
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
