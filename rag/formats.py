"""Which reader reads a file: by what its bytes say, then by its name."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePath

from rag.blocks import Parsed
from rag.errors import DocumentError

READABLE = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "csv",
    ".tsv": "csv",
}
"""Reader by suffix."""

_WAYS_OUT = {
    ".pptx": ("PowerPoint slides", "export them as PDF"),
    ".xlsx": ("an Excel workbook", "save each sheet as CSV"),
    ".eml": ("an e-mail", "save it as text or HTML"),
    ".rst": ("reStructuredText", "convert it to Markdown or HTML"),
    ".json": ("JSON", "convert it to CSV or text, or to a BEIR folder for --beir"),
    ".jsonl": ("JSON lines", "bring them as a BEIR folder for --beir"),
    ".zip": ("an archive", "unpack it and give the folder"),
    ".odt": ("an OpenDocument text", "save it as .docx or PDF"),
    ".rtf": ("rich text", "save it as .docx or PDF"),
    ".msg": ("an Outlook message", "save it as text or HTML"),
    ".ppt": ("old PowerPoint slides", "export them as PDF"),
    ".doc": ("an old Word document", "save it as .docx or PDF"),
    ".xls": ("an old Excel workbook", "save each sheet as CSV"),
    ".epub": ("an e-book", "convert it to HTML or PDF"),
}
_READABLE_NAMES = ".txt .md .html .pdf .docx .csv"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def refusal(path: PurePath) -> str | None:
    """Why a file of this name can't be read; None where it can.

    >>> refusal(PurePath("notes.MD")) is None
    True
    >>> refusal(PurePath("talk.pptx"))
    'PowerPoint slides (.pptx) can not be read yet: export them as PDF. Readable are .txt .md .html .pdf .docx .csv'
    """
    suffix = path.suffix.lower()
    if suffix in READABLE:
        return None
    if suffix in _WAYS_OUT:
        what, way_out = _WAYS_OUT[suffix]
        return f"{what} ({suffix}) can not be read yet: {way_out}. Readable are {_READABLE_NAMES}"
    named = f"the type {suffix!r} is unknown" if suffix else "the name has no ending that tells its type"
    return f"{named}. Readable are {_READABLE_NAMES}"


def read(data: bytes, suffix: str) -> Parsed:
    """The blocks of a file with these bytes.

    Raises:
        DocumentError: it can't be read, or there is no text in it.
    """
    parsed = _read_as(_format(data, suffix.lower()), data)
    if not any(block.text.strip() for block in parsed.blocks):
        raise DocumentError("there is no text in it: nothing could be found in it")
    return parsed


def _read_as(reader: str, data: bytes) -> Parsed:
    """Each format's library is imported only when a file of it comes."""
    if reader == "pdf":
        from rag.format_pdf import read_pdf as read
    elif reader == "docx":
        from rag.format_docx import read_docx as read
    elif reader == "html":
        from rag.format_html import read_html as read
    elif reader == "markdown":
        from rag.format_markdown import read_markdown as read
    elif reader == "csv":
        from rag.format_text import read_csv as read
    else:
        from rag.format_text import read_text as read
    return read(data)


def _format(data: bytes, suffix: str) -> str:
    """What the bytes are, whatever the name says; the name decides between kinds of text."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf").lstrip()
    if not data:
        raise DocumentError("the file is empty (0 bytes): was it copied completely?")
    if data.startswith(b"PK\x03\x04"):
        return _zip_format(data)
    if data.startswith(_OLE):
        raise DocumentError(refusal(PurePath(f"x{suffix}")) or "it is an old Office file, or one with a password: "
                            "save it as .docx or PDF, without a password")  # fmt: skip
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if head.startswith(b"{\\rtf"):
        raise DocumentError(f"{refusal(PurePath('x.rtf'))}")
    if READABLE.get(suffix) in ("pdf", "docx"):
        if head[:14].lower() == b"<!doctype html" or b"<html" in head.lower():
            return "html"
        raise DocumentError(f"the name ends in {suffix!r}, but the content is neither a PDF, a Word file nor a web "
                            "page: is it damaged, or wrongly named?")  # fmt: skip
    reason = refusal(PurePath(f"x{suffix}"))
    if reason is not None:
        raise DocumentError(reason)
    return READABLE[suffix]


def _zip_format(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise DocumentError(f"the file is damaged or incomplete ({error}): copy or download it again") from error
    for beginning, suffix in (("ppt/", ".pptx"), ("xl/", ".xlsx"), ("content.xml", ".odt"), ("OEBPS/", ".epub")):
        if any(name.startswith(beginning) for name in names):
            raise DocumentError(f"{refusal(PurePath('x' + suffix))}")
    if any(name.lower().startswith("word/") for name in names):
        return "docx"
    raise DocumentError(f"{refusal(PurePath('x.zip'))}")
