"""Excel workbooks (.xlsx) → blocks, by openpyxl: a sheet's name is the heading, a row a record, as in CSV files."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument
from rag.parsing.formats.spreadsheet_tables import MergedCells, SheetRow, sheet_to_blocks
from rag.parsing.formats.zip_container import MALFORMED_ERRORS, malformed_error, open_zip_document

if TYPE_CHECKING:
    from openpyxl import Workbook

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_CELLS = 5_000_000  # of one workbook, empty ones up to a row's last included
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell ref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
_UNCOMPUTED = re.compile(rb"</(?:\w+:)?f>\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*</(?:\w+:)?c>")
_ERRORS = {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"}


def read_xlsx(data: bytes) -> ParsedDocument:
    """The values of visible sheets; of a formula, what Excel computed last. Charts and comments are not read.

    Raises:
        DocumentError: it is damaged, has too many cells, or holds formulas that nothing was computed of.
    """
    headings = HeadingStack()
    blocks: list[Block] = []
    with open_zip_document(data, "Excel workbook") as package:
        try:
            book = _book(data)
            visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            n_uncomputed = sum(len(_UNCOMPUTED.findall(_xml(package, sheet))) for sheet in visible)
            for sheet, rows in _rows(visible):
                found = list(sheet_to_blocks(rows, (sheet.title,), _merged(_xml(package, sheet))))
                blocks += [headings.enter(1, sheet.title), *found] if found else []
        except (
            *MALFORMED_ERRORS,
            SyntaxError,
            TypeError,
            IndexError,
            AttributeError,
        ) as error:  # a SyntaxError is XML's
            raise malformed_error("Excel workbook", error) from error
    hidden = [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]
    note = _note(hidden, n_uncomputed)
    if not blocks and note:
        raise DocumentError(f"there is no text in it: {note}")
    return ParsedDocument(
        blocks=tuple(blocks), title=str(book.properties.title or "").strip(), media_type=MEDIA_TYPE, note=note
    )


def _note(hidden: list[str], n_uncomputed: int) -> str:
    notes = [f"hidden sheet {title!r} left out" for title in hidden[:10]]
    if n_uncomputed:
        notes.append(f"{n_uncomputed} formula(s) without a stored value: open it in Excel or LibreOffice and save it")
    return "; ".join(notes)


def _book(data: bytes) -> Workbook:
    import warnings

    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of what it does not keep when it writes; we only read
        return load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)


def _rows(sheets: list[Any]) -> Iterator[tuple[Any, list[SheetRow]]]:
    n_cells = 0
    for sheet in sheets:
        sheet.reset_dimensions()  # what a file says of its size may be wrong
        rows: list[SheetRow] = []
        for cells in sheet.iter_rows():
            rows.append(_trimmed([_text(cell) for cell in cells]))
            n_cells += len(cells)
            if n_cells > MAX_CELLS:
                raise DocumentError(
                    f"the workbook has more than the {MAX_CELLS:,} cells allowed: split it, or save its sheets as CSV"
                )
        yield sheet, rows


def _trimmed(row: SheetRow) -> SheetRow:
    while row and not row[-1]:
        row.pop()
    return row


def _text(cell: Any) -> str:
    """The value as people write it: dates without a midnight, shares in percent, no digits that only binary has."""
    value = cell.value
    if value is None or value in _ERRORS:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "minutes").removesuffix(" 00:00")
    if isinstance(value, int | float):
        return f"{number_text(value * 100)}%" if "%" in str(cell.number_format) else number_text(value)
    return str(value)


def number_text(value: float) -> str:
    """Up to twelve digits, none of them an exponent's if it can be helped.

    >>> [number_text(value) for value in (0.1 + 0.2, 1e6, 1234567.891, 5)]
    ['0.3', '1000000', '1234567.891', '5']
    """
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value)):
        return str(int(value))
    return f"{value:.12g}"


# ---- what openpyxl does not tell while it streams


def _xml(package: zipfile.ZipFile, sheet: Any) -> bytes:
    return package.read(sheet._worksheet_path)


def _merged(xml: bytes) -> list[MergedCells]:
    from openpyxl.utils import range_boundaries

    found = []
    for match in _MERGED.finditer(xml):
        left, top, right, bottom = range_boundaries(match.group(1).decode("ascii"))
        found.append(MergedCells(top - 1, left - 1, bottom - 1, right - 1))
    return found
