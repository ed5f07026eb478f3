"""OpenDocument texts (.odt) → blocks, by lxml: its content is one XML file whose elements say what they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument, detect_header, format_row
from rag.parsing.formats.zip_container import MALFORMED_ERRORS, malformed_error, open_zip_document

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

MEDIA_TYPE = "application/vnd.oasis.opendocument.text"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_SKIPPED = {
    f"{_TEXT}tracked-changes",
    f"{_TEXT}note",
    "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}annotation",
    f"{_TEXT}table-of-content",
    f"{_TEXT}sequence-decls",
}
MAX_SPACES = 100  # that one element stands for
MAX_COLUMNS = 1000


def read_odt(data: bytes) -> ParsedDocument:
    """Headings, paragraphs, lists and tables in order; deleted text, notes and comments are left out.

    Raises:
        DocumentError: it is damaged or needs a password.
    """
    from lxml import etree

    with open_zip_document(data, "OpenDocument text") as package:
        try:
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            root = etree.fromstring(package.read("content.xml"), parser)
        except (*MALFORMED_ERRORS, etree.XMLSyntaxError) as error:
            raise malformed_error("OpenDocument text", error) from error
    body = root.find(".//{*}body/{*}text")
    headings = HeadingStack()
    blocks = tuple(_blocks(body, headings)) if body is not None else ()
    return ParsedDocument(blocks=blocks, title=headings.title, media_type=MEDIA_TYPE)


def _blocks(parent: Element, headings: HeadingStack, marker: str = "") -> Iterator[Block]:
    for child in parent:
        if child.tag == f"{_TEXT}h":
            text = " ".join("".join(_texts(child)).split())
            level = child.get(f"{_TEXT}outline-level", "1")
            if text:
                yield headings.enter(int(level) if level.isdigit() else 1, text)
        elif child.tag == f"{_TEXT}p":
            text = "".join(_texts(child)).strip()
            if text:
                yield Block(marker + text, "list" if marker else "paragraph", headings.path)
                marker = marker and "  "
        elif child.tag == f"{_TEXT}list-item":
            yield from _blocks(child, headings, "- ")
        elif child.tag == f"{_TABLE}table":
            yield from _table(child, headings)
        elif child.tag not in _SKIPPED and isinstance(child.tag, str):
            yield from _blocks(child, headings, marker)


def _table(table: Element, headings: HeadingStack) -> Iterator[Block]:
    cells = [_row(row) for row in table.iter(f"{_TABLE}table-row")]
    header = detect_header(cells)
    for row in cells[1:] if header else cells:
        text = format_row(header, row)
        if text:
            yield Block(text, "row", headings.path)


def _row(row: Element) -> list[str]:
    cells: list[str] = []
    for cell in row.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
        text = " ".join(" ".join("".join(_texts(part)).split()) for part in cell.iter(f"{_TEXT}p", f"{_TEXT}h"))
        repeated = cell.get(f"{_TABLE}number-columns-repeated", "1")
        n = int(repeated) if repeated.isdigit() and text else 1
        cells += [text] * min(n, MAX_COLUMNS)
    return cells


def _texts(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == f"{_TEXT}s":
            n = child.get(f"{_TEXT}c", "1")
            yield " " * min(int(n) if n.isdigit() else 1, MAX_SPACES)
        elif child.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
            yield "\t" if child.tag == f"{_TEXT}tab" else "\n"
        elif child.tag not in _SKIPPED and isinstance(child.tag, str):
            yield from _texts(child)
        yield child.tail or ""
