"""Word documents (.docx) → blocks, by python-docx; the body is walked by hand, since python-docx leaves parts out.

Its `paragraphs` pass over content controls, text boxes and tracked insertions, and its `style` fails if a
document names a style that it doesn't define.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument, detect_header, format_row
from rag.parsing.formats.zip_container import MALFORMED_ERRORS, malformed_error, open_zip_document

if TYPE_CHECKING:
    from docx.document import Document
    from docx.oxml.xmlchemy import BaseOxmlElement as Element  # lxml's, with more

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SKIPPED = {
    f"{_W}moveFrom",  # moved elsewhere by a tracked change
    f"{_W}del",
    f"{_W}rt",  # reading aids next to Japanese words
    f"{_W}txbxContent",  # its paragraphs are blocks of their own
    f"{_W}sdtPr",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",  # the same text once more
}
_TEXT = {f"{_W}t", "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"}
_CHARACTERS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING_STYLE = re.compile(r"heading ?([1-9])")
LONG_CELL = 300  # characters; a table with longer cells lays out a page


def read_docx(data: bytes) -> ParsedDocument:
    """Paragraphs, lists, tables and text boxes in order. Headers, footers, comments and footnotes are not read."""
    document = _opened(data)
    styles = _Styles(document.styles.element)
    reader = _Reader(styles)
    blocks = tuple(reader.blocks(document.element.body))
    title = reader.headings.title or (document.core_properties.title or "").strip()
    return ParsedDocument(
        blocks=blocks, title=title, media_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    )


def _opened(data: bytes) -> Document:
    import docx
    from docx.opc.exceptions import PackageNotFoundError
    from lxml.etree import XMLSyntaxError

    open_zip_document(data, "Word file").close()
    try:
        return docx.Document(io.BytesIO(data))
    except (*MALFORMED_ERRORS, PackageNotFoundError, XMLSyntaxError) as error:
        raise malformed_error("Word file", error) from error


class _Styles:
    """What paragraph styles mean: heading levels and lists, followed along the styles they are based on."""

    def __init__(self, styles: Element) -> None:
        self._by_id = {style.get(f"{_W}styleId"): style for style in styles.iter(f"{_W}style")}

    def chain(self, style_id: str | None) -> Iterator[Element]:
        """The style and those it is based on."""
        seen: set[str | None] = set()
        while style_id in self._by_id and style_id not in seen:
            seen.add(style_id)
            style = self._by_id[style_id]
            yield style
            style_id = _value(style, "basedOn")

    def level(self, paragraph: Element) -> int | None:
        """The heading's level, 0 for the document's title; None for other paragraphs."""
        style_id = _value(paragraph, "pPr/pStyle")
        names = [_value(style, "name") or "" for style in self.chain(style_id)] or [style_id or ""]
        for name in (name.lower() for name in names):
            heading = _HEADING_STYLE.fullmatch(name)
            if heading or name == "title":
                return int(heading.group(1)) if heading else 0
        outlines = [_value(paragraph, "pPr/outlineLvl"), *(_value(s, "pPr/outlineLvl") for s in self.chain(style_id))]
        outline = next((level for level in outlines if level is not None), "9")
        return int(outline) + 1 if outline.isdigit() and int(outline) < 9 else None

    def is_list(self, paragraph: Element) -> bool:
        """True for numbered and bulleted paragraphs."""
        number = _value(paragraph, "pPr/numPr/numId")
        if number is not None:
            return number != "0"
        styles = list(self.chain(_value(paragraph, "pPr/pStyle")))
        return any(_value(style, "pPr/numPr/numId") not in (None, "0") for style in styles) or any(
            (_value(style, "name") or "").lower().startswith("list ") for style in styles
        )


class _Reader:
    """Walks the body, and what is nested in it, in reading order."""

    def __init__(self, styles: _Styles) -> None:
        self._styles = styles
        self.headings = HeadingStack()

    def blocks(self, parent: Element) -> Iterator[Block]:
        """The blocks below an element."""
        for child in parent:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                yield from self._table(child)
            elif child.tag not in _SKIPPED and isinstance(child.tag, str):
                yield from self.blocks(child)  # content controls, custom XML, insertions

    def _paragraph(self, paragraph: Element) -> Iterator[Block]:
        text = "".join(_texts(paragraph)).strip()
        level = self._styles.level(paragraph) if text else None
        if level is not None:
            yield self.headings.enter(level, " ".join(text.split()))
        elif text and self._styles.is_list(paragraph):
            yield Block(f"- {text}", "list", self.headings.path)
        elif text:
            yield Block(text, "paragraph", self.headings.path)
        for box in paragraph.iter(f"{_W}txbxContent"):
            if not any(ancestor.tag in _SKIPPED for ancestor in box.iterancestors()):
                yield from self.blocks(box)

    def _table(self, table: Element) -> Iterator[Block]:
        rows = [[_cell_texts(cell) for cell in row.iter(f"{_W}tc")] for row in table.iter(f"{_W}tr")]
        cells = [[text for texts in row for text in texts] for row in rows]
        long = any(len(text) > LONG_CELL for row in cells for text in row)
        if long or next(table.iterdescendants(f"{_W}tbl"), None) is not None or max(map(len, cells), default=0) < 2:
            yield from self.blocks(table)  # it lays out a page
            return
        header = detect_header(cells)
        for row in cells[1:] if header else cells:
            text = format_row(header, row)
            if text:
                yield Block(text, "row", self.headings.path)


def _cell_texts(cell: Element) -> list[str]:
    """The cell's text, and an empty one for every further column that it spans."""
    text = " ".join(" ".join("".join(_texts(paragraph)).split()) for paragraph in cell.iter(f"{_W}p")).strip()
    span = _value(cell, "tcPr/gridSpan") or "1"
    return [text, *[""] * (int(span) - 1 if span.isdigit() and int(span) < 64 else 0)]


def _texts(element: Element) -> Iterator[str]:
    for child in element:
        if child.tag in _TEXT:
            yield child.text or ""
        elif child.tag in _CHARACTERS:
            yield _CHARACTERS[child.tag]
        elif child.tag not in _SKIPPED and child.tag != f"{_W}pPr":
            yield from _texts(child)


def _value(element: Element, path: str) -> str | None:
    found = element.find("/".join(f"{_W}{step}" for step in path.split("/")))
    return found.get(f"{_W}val") if found is not None else None
