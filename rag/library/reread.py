"""Other settings of reading or splitting: files are read again when they are ingested the next time.

They stay as they are until then.
"""

from __future__ import annotations

from sqlalchemy import Engine, func, insert, select, update

from rag.database.schema import app_state, documents, passages, read_connection
from rag.parsing.pdf.tesseract import OCR_MARK, OCR_UNAVAILABLE

CUT = "cut"
REREAD_SHA256 = ""  # is if a file's sha256 was: no bytes have it, so the next ingest takes the file for a changed one


def mark_for_resplit(engine: Engine, cut: str) -> int:
    """Notes how documents are cut from now on; returns how many must be read again because others were before.

    Only those are that came from files: a line of a BEIR corpus is one passage, however files are cut. If nothing
    was noted before, the library stays as it is: a newer Nightjar alone takes no verdict its passage.
    """
    if _noted(engine) == cut:
        return 0
    of_beir = select(passages.c.document_id).where(passages.c.external_id.is_not(None))
    with engine.begin() as connection:
        noted = connection.scalar(select(app_state.c.value).where(app_state.c.name == CUT).with_for_update())
        if noted is None:
            connection.execute(insert(app_state).values(name=CUT, value=cut))
            return 0
        connection.execute(update(app_state).where(app_state.c.name == CUT).values(value=cut))
        marked = connection.execute(
            update(documents)
            .where(documents.c.document_id.not_in(of_beir), documents.c.sha256 != REREAD_SHA256)
            .values(sha256=REREAD_SHA256)
        )
        return int(marked.rowcount)


def mark_for_ocr(engine: Engine, ocr: str) -> None:
    """Marks documents to be read again that have pages that are pictures and were not read in this way.

    *ocr* is as `reading_of` gives it. What was read once stays where pictures can't be read any more.
    """
    if ocr == OCR_UNAVAILABLE:
        return
    kind = documents.c.media_type
    otherwise = kind.contains(OCR_MARK, autoescape=True) & ~kind.endswith(OCR_MARK + ocr, autoescape=True)
    with engine.begin() as connection:
        connection.execute(
            update(documents).where(otherwise, documents.c.sha256 != REREAD_SHA256).values(sha256=REREAD_SHA256)
        )


def _noted(engine: Engine) -> str | None:
    with read_connection(engine) as connection:
        noted: str | None = connection.scalar(select(app_state.c.value).where(app_state.c.name == CUT))
        return noted


def n_documents_to_reread(engine: Engine) -> int:
    """How many documents are still read or cut by former settings."""
    with read_connection(engine) as connection:
        query = select(func.count()).select_from(documents).where(documents.c.sha256 == REREAD_SHA256)
        return int(connection.scalar(query) or 0)
