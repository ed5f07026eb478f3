"""Other settings of reading or splitting: files are read anew when they are ingested the next time.

They stay as they are until then.
"""

from __future__ import annotations

from sqlalchemy import Engine, func, insert, select, update

from rag.database.schema import documents, passages, reading, state
from rag.parsing.pdf.tesseract import MARK, NOT_READ

CUT = "cut"
READ_AGAIN = (
    ""  # stands where a file's sha256 was: no bytes have it, so the next ingest takes the file for a changed one
)


def cut_by(engine: Engine, cut: str) -> int:
    """Notes how documents are cut from now on; returns how many must be read again because others were before.

    Only those are that came from files: a line of a BEIR corpus is one passage, however files are cut. Where nothing
    was noted before, the library stays as it is: a newer Nightjar alone takes no verdict its passage.
    """
    if _noted(engine) == cut:
        return 0
    of_beir = select(passages.c.document_id).where(passages.c.external_id.is_not(None))
    with engine.begin() as connection:
        noted = connection.scalar(select(state.c.value).where(state.c.name == CUT).with_for_update())
        if noted is None:
            connection.execute(insert(state).values(name=CUT, value=cut))
            return 0
        connection.execute(update(state).where(state.c.name == CUT).values(value=cut))
        marked = connection.execute(
            update(documents)
            .where(documents.c.document_id.not_in(of_beir), documents.c.sha256 != READ_AGAIN)
            .values(sha256=READ_AGAIN)
        )
        return int(marked.rowcount)


def pictures_read_by(engine: Engine, ocr: str) -> None:
    """Marks documents to be read again that have pages that are pictures and were not read in this way.

    *ocr* is as `reading_of` gives it. What was read once stays where pictures can't be read any more.
    """
    if ocr == NOT_READ:
        return
    kind = documents.c.media_type
    otherwise = kind.contains(MARK, autoescape=True) & ~kind.endswith(MARK + ocr, autoescape=True)
    with engine.begin() as connection:
        connection.execute(
            update(documents).where(otherwise, documents.c.sha256 != READ_AGAIN).values(sha256=READ_AGAIN)
        )


def _noted(engine: Engine) -> str | None:
    with reading(engine) as connection:
        noted: str | None = connection.scalar(select(state.c.value).where(state.c.name == CUT))
        return noted


def n_waiting(engine: Engine) -> int:
    """How many documents are still read or cut by former settings."""
    with reading(engine) as connection:
        query = select(func.count()).select_from(documents).where(documents.c.sha256 == READ_AGAIN)
        return int(connection.scalar(query) or 0)
