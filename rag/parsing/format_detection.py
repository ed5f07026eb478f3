"""Which reader reads a file: by what its bytes say, then by its name."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from importlib import import_module
from pathlib import PurePath

from rag.errors import DocumentError
from rag.parsing.formats.blocks import ParsedDocument
from rag.parsing.formats.zip_container import MALFORMED_ERRORS, malformed_error
from rag.parsing.pdf.tesseract import PageRecogniser

READER_BY_SUFFIX = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".rst": "rst",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "pptx",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".eml": "eml",
    ".epub": "epub",
    ".odt": "odt",
    ".rtf": "rtf",
    ".zip": "zip",
}
"""Reader by suffix. An archive's members are documents of their own: see rag.archive."""

_WAYS_OUT = {
    ".msg": ("an Outlook message", "save it as .eml, text or HTML"),
    ".ppt": ("old PowerPoint slides", "save them as .pptx or PDF"),
    ".doc": ("an old Word document", "save it as .docx or PDF"),
    ".xls": ("an old Excel workbook", "save it as .xlsx, or each sheet as CSV"),
    ".xlsb": ("a binary Excel workbook", "save it as .xlsx"),
    ".ods": ("an OpenDocument sheet", "save it as .xlsx or CSV"),
    ".odp": ("OpenDocument slides", "save them as .pptx or PDF"),
    ".mobi": ("a Kindle book", "convert it to .epub"),
    **dict.fromkeys(
        (".png", ".jpg", ".jpeg", ".tif", ".tiff"),
        ("a picture", "save it as PDF, whose pages are recognised where nightjar-rag[ocr] is installed"),
    ),
    ".7z": ("an archive", "unpack it and give the folder, or pack it as .zip"),
    ".rar": ("an archive", "unpack it and give the folder, or pack it as .zip"),
    ".tar": ("an archive", "unpack it and give the folder, or pack it as .zip"),
    ".gz": ("an archive", "unpack it and give the folder, or pack it as .zip"),
}
_READABLE_NAMES = ".txt .md .rst .html .pdf .docx .pptx .xlsx .csv .tsv .json .jsonl .eml .epub .odt .rtf .zip"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BINARY = ("pdf", "docx", "pptx", "xlsx", "epub", "odt", "zip", "rtf")
"""Readers whose files begin with a mark of their own."""


def unreadable_reason(path: PurePath) -> str | None:
    """Why a file of this name can't be read; None if it can.

    >>> unreadable_reason(PurePath("notes.MD")) is None
    True
    >>> unreadable_reason(PurePath("talk.ppt"))[:72]
    'old PowerPoint slides (.ppt) can not be read: save them as .pptx or PDF.'
    """
    suffix = path.suffix.lower()
    if suffix in READER_BY_SUFFIX:
        return None
    if suffix in _WAYS_OUT:
        what, way_out = _WAYS_OUT[suffix]
        return f"{what} ({suffix}) can not be read: {way_out}. Readable are {_READABLE_NAMES}"
    named = f"the type {suffix!r} is unknown" if suffix else "the name has no ending that tells its type"
    return f"{named}. Readable are {_READABLE_NAMES}"


def read_document(data: bytes, suffix: str, recogniser: PageRecogniser | None = None) -> ParsedDocument:
    """The blocks of a file with these bytes; *recogniser* reads pages that are pictures.

    Raises:
        DocumentError: it can't be read, or there is no text in it.
    """
    try:
        parsed = _read_as(_format(data, suffix.lower()), data, recogniser or PageRecogniser())
    except RecursionError as error:
        raise DocumentError("it is nested deeper than documents are: save it again, in another format") from error
    if not any(block.text.strip() for block in parsed.blocks):
        note = f" ({parsed.note})" if parsed.note else ""
        raise DocumentError(f"there is no text in it: nothing could be found in it{note}")
    return parsed


def _read_as(reader: str, data: bytes, recogniser: PageRecogniser) -> ParsedDocument:
    """Each format's library is imported only when a file of it comes."""
    if reader == "zip":
        raise DocumentError(
            "an archive is read only as a file of its own, not inside another file: unpack it and give the folder"
        )
    if reader == "eml":
        from rag.parsing.formats.eml import read_eml

        return read_eml(data, partial(read_document, recogniser=recogniser))
    if reader == "pdf":
        from rag.parsing.pdf.reader import read_pdf

        return read_pdf(data, recogniser)
    module, name = _READERS[reader]
    parsed: ParsedDocument = getattr(import_module(module), name)(data)
    return parsed


_READERS = {
    reader: (
        f"rag.parsing.formats.{'text' if reader == 'csv' else 'json' if reader == 'jsonl' else reader}",
        f"read_{reader}",
    )
    for reader in {*READER_BY_SUFFIX.values()} - {"zip", "eml", "pdf"}
}
"""Module and function of each reader."""


def _format(data: bytes, suffix: str) -> str:
    """What the bytes are, whatever the name says; the name decides between kinds of text."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf").lstrip()
    if not data:
        raise DocumentError("the file is empty (0 bytes): was it copied completely?")
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_format(data)
    if data.startswith(_OLE):
        raise DocumentError(
            unreadable_reason(PurePath(f"x{suffix}"))
            or "it is an old Office file, or one with a password: "
            "save it as .docx, .xlsx, .pptx or PDF, without a password"
        )
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if head.startswith(b"{\\rtf"):
        return "rtf"
    if READER_BY_SUFFIX.get(suffix) in _BINARY:
        if head[:14].lower() == b"<!doctype html" or b"<html" in head.lower():
            return "html"
        raise DocumentError(
            f"the name ends in {suffix!r}, but the content is neither a PDF, an Office file, an e-book "
            "nor a web page: is it damaged, or wrongly named?"
        )
    reason = unreadable_reason(PurePath(f"x{suffix}"))
    if reason is not None:
        raise DocumentError(reason)
    return READER_BY_SUFFIX[suffix]


_PACKAGES = (("word/", "docx"), ("ppt/", "pptx"), ("xl/workbook.bin", ".xlsb"), ("xl/", "xlsx"))
_OPEN_DOCUMENTS = {b"text": "odt", b"text-template": "odt", b"spreadsheet": ".ods", b"presentation": ".odp"}


def _zip_format(data: bytes) -> str:
    """By what every package of a kind must hold; what holds none of it is an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            kind = archive.open("mimetype").read(100).strip() if "mimetype" in names else b""
    except MALFORMED_ERRORS as error:
        raise malformed_error("file", error) from error
    if kind == b"application/epub+zip" or "META-INF/container.xml" in names:
        return "epub"
    found = _OPEN_DOCUMENTS.get(kind.rpartition(b".")[2], "zip")
    if "[Content_Types].xml" in names:
        found = next(
            (reader for part, reader in _PACKAGES if any(name.lower().startswith(part) for name in names)), found
        )
    if found.startswith("."):
        raise DocumentError(f"{unreadable_reason(PurePath('x' + found))}")
    return found
