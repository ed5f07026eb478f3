"""The cells of a sheet → blocks: one or several tables, their headers, and lines of text between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.parsing.formats.blocks import Block, detect_header, format_row

SheetRow = list[str]
"""The texts of a row's cells from the first column on; empty if a cell is."""


@dataclass(frozen=True, slots=True)
class MergedCells:
    """Cells that are shown as one; rows and columns 0-based, the last ones inclusive."""

    top: int
    left: int
    bottom: int
    right: int


def sheet_to_blocks(rows: list[SheetRow], path: tuple[str, ...], merged: Sequence[MergedCells] = ()) -> Iterator[Block]:
    """A record for every row, a line `column: value` for every cell; as read_csv gives.

    Empty rows and empty columns part tables. A table without a header of its own that is in the same columns as
    the one above goes on with that one's.
    """
    wide = _spread(rows, merged)
    above: dict[range, SheetRow] = {}
    for here, columns in _rectangles(rows, range(len(rows)), range(max(map(len, rows), default=0))):
        part = [_cut(rows[i], columns) for i in here]
        lines, names, body = _table(part, {i: _cut(wide[i], columns) for i in here if i in wide}, here.start)
        yield from (Block(line, "paragraph", path) for line in lines)
        if body:
            names = above[columns] = names or above.get(columns, [])
        yield from (Block(format_row(names, row, "\n"), "record", path) for row in body)


def _rectangles(rows: list[SheetRow], here: range, columns: range) -> Iterator[tuple[range, range]]:
    """(rows, columns) of what empty rows and columns part, those of a stretch of rows from left to right."""
    for run in _stretches([any(rows[i][columns.start : columns.stop]) for i in here], here.start):
        for across in _stretches(_filled_columns([_cut(rows[i], columns) for i in run]), columns.start):
            if (run, across) == (here, columns):
                yield run, across
            else:
                yield from _rectangles(rows, run, across)


def _table(part: list[SheetRow], wide: dict[int, SheetRow], start: int) -> tuple[list[str], SheetRow, list[SheetRow]]:
    """(lines above, the names of the columns, the rows) of one rectangle of cells."""
    n_lines = 0
    while n_lines < len(part) and len(part[0]) > 1 and sum(map(bool, part[n_lines])) == 1:
        n_lines += 1
    if n_lines == len(part):
        return [cell for row in part for cell in row if cell], [], []
    lines = [" ".join(filter(None, row)) for row in part[:n_lines]]
    part = part[n_lines:]
    groups = wide.get(start + n_lines)
    if groups and len(part) > 2:  # names above groups of names
        both = [" ".join(dict.fromkeys(filter(None, pair))) for pair in zip(groups, part[1], strict=True)]
        names = detect_header([both, part[2]])
        if names:
            return lines, names, part[2:]
    names = detect_header(part)
    return lines, names, part[1:] if names else part


def _spread(rows: list[SheetRow], merged: Sequence[MergedCells]) -> dict[int, SheetRow]:
    """Writes what is merged downwards into every row that it is next to; returns, by row, the rows with what is
    merged sideways in every column."""
    wide: dict[int, SheetRow] = {}
    for cells in merged:
        if cells.top >= len(rows) or cells.left >= len(rows[cells.top]) or not rows[cells.top][cells.left]:
            continue
        text = rows[cells.top][cells.left]
        for i in range(cells.top + 1, min(cells.bottom + 1, len(rows))):
            if any(rows[i]):
                rows[i] += [""] * (cells.left + 1 - len(rows[i]))
                rows[i][cells.left] = text
        if cells.right > cells.left:
            row = wide.setdefault(cells.top, list(rows[cells.top]))
            row += [""] * (cells.right + 1 - len(row))
            row[cells.left : cells.right + 1] = [text] * (cells.right + 1 - cells.left)
    return wide


def _filled_columns(rows: list[SheetRow]) -> list[bool]:
    filled = [False] * max(map(len, rows), default=0)
    for row in rows:
        for column, cell in enumerate(row):
            if cell:
                filled[column] = True
    return filled


def _stretches(filled: list[bool], first: int) -> Iterator[range]:
    """Runs of true values, the places counted from *first*.

    >>> list(_stretches([True, True, False, True], 0))
    [range(0, 2), range(3, 4)]
    """
    start = None
    for index, is_filled in enumerate([*filled, False], first):
        if is_filled and start is None:
            start = index
        elif not is_filled and start is not None:
            yield range(start, index)
            start = None


def _cut(row: SheetRow, columns: range) -> SheetRow:
    cells = row[columns.start : columns.stop]
    return cells + [""] * (len(columns) - len(cells))
