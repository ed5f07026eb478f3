"""Taking documents out as every door does it: with all that hangs on them, and with the copies that people sent."""

from __future__ import annotations

from pathlib import Path

from rag.app.app import App
from rag.errors import DocumentError
from rag.ingestion.find_files import real_path
from rag.ingestion.remove_documents import RemovalCounts
from ui.background.uploads import UPLOAD_FOLDER


def remove_documents(app: App, source: str) -> RemovalCounts:
    """Removes a document, or all below a folder; of what was uploaded the copy too, other files stay where they are.

    Raises:
        NotFoundError: nothing has this source.
    """
    removed = app.removal.below(source)
    for copy in uploaded_copies(app, source):
        copy.unlink(missing_ok=True)
    return removed


def uploaded_copies(app: App, source: str) -> list[Path]:
    """The files below the state directory that *source* names: what people sent."""
    folder = app.settings.data.resolve() / UPLOAD_FOLDER
    try:
        place = real_path(folder.parent / source)
    except DocumentError:  # nothing that was sent has such a path
        return []
    if place == folder:
        return [path for path in sorted(folder.iterdir()) if path.is_file()] if folder.is_dir() else []
    return [place] if place.is_file() and place.is_relative_to(folder) else []
