"""What a reader of a format hands over: blocks of text with their headings and page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list", "row", "record", "code"]
"""A row is one line of a table; a record is one row of a CSV file, a line for each column."""

_INVISIBLE = {ord(c): None for c in "\u00ad\u200b\u2060\ufeff"}  # soft hyphen, zero-width space, word joiner, BOM
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
_UNSTORABLE = dict.fromkeys([0, *range(0xD800, 0xE000)], "\ufffd")  # NUL and lone surrogates: no SQL text holds them
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
MAX_LISTED = 20  # of pages and the like in one note
_TRAILING_SPACE = re.compile(r"[ \t]+(?=\n)")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list item, table row or piece of code, as one stretch of text."""

    text: str
    kind: BlockKind = "paragraph"
    headings: tuple[str, ...] = ()
    """The headings above it, outermost first; a heading is not above itself."""
    page: int | None = None
    """1-based, if the format has pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """A file as it was read."""

    blocks: tuple[Block, ...]
    title: str = ""
    """What the file itself says; empty if it says nothing."""
    media_type: str = "text/plain"
    note: str = ""
    """What people should know of the reading, such as pages without text."""
    sha256: str = ""
    """Of the bytes that were read."""


class HeadingStack:
    """The headings above the place where a reader is."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []
        self._top: tuple[int, str] | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """Outermost first."""
        return tuple(text for _, text in self._open)

    @property
    def title(self) -> str:
        """The first heading of the outermost level that there was; empty without headings."""
        return self._top[1] if self._top else ""

    def leave(self) -> None:
        """Ends what all headings so far are above, as a slide without a title does."""
        self._open.clear()

    def enter(self, level: int, text: str, page: int | None = None) -> Block:
        """The heading as a block; what follows is below it. A lower *level* is further out.

        >>> stack = HeadingStack()
        >>> [stack.enter(level, text).headings for level, text in ((1, "A"), (3, "B"), (2, "C"))]
        [(), ('A',), ('A',)]
        >>> stack.path, stack.title
        (('A', 'C'), 'A')
        """
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        if self._top is None or level < self._top[0]:
            self._top = (level, text)
        block = Block(text, "heading", self.path, page)
        self._open.append((level, text))
        return block


def replace_unstorable(text: str) -> str:
    r"""The text without what a SQL database can't hold.

    >>> replace_unstorable("a\x00b\ud800")
    'a\ufffdb\ufffd'
    """
    return text.translate(_UNSTORABLE) if "\x00" in text or not text.isascii() else text


def clean_text(text: str) -> str:
    r"""The text for storing: line ends as \n, nothing invisible inside words, no ligatures, no blanks at line ends.

    >>> clean_text(" so\u00adft \r\n  of\ufb01ce\x00 ")
    'soft\n  office\ufffd'
    """
    if not text.isascii():
        text = text.translate(_INVISIBLE).translate(_LIGATURES)
    return _TRAILING_SPACE.sub("", _LINE_END.sub("\n", replace_unstorable(text))).strip()


def format_row(header: Sequence[str], cells: Sequence[str], separator: str = "; ") -> str:
    """A table row that can be read, and found, without its table. Empty cells are left out.

    >>> format_row(["Name", "Age", ""], ["Alice", "30", "London"])
    'Name: Alice; Age: 30; London'
    >>> format_row([], ["Name:", "Alice", "", "London"])
    'Name: Alice | London'
    """
    cells = [cell.strip() for cell in cells]
    if not any(header):
        return " | ".join(cell for cell in cells if cell).replace(": | ", ": ")
    names = [*header, *[""] * len(cells)]
    named = zip(names, cells, strict=False)
    return separator.join(f"{name.strip()}: {cell}" if name.strip() else cell for name, cell in named if cell)


def detect_header(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first row, if it looks like a header: distinct short names above other rows; else nothing.

    >>> detect_header([["Name", "Age"], ["Alice", "30"]])
    ['Name', 'Age']
    >>> detect_header([["Alice", "30"], ["Bob", "25"]])
    []
    """
    first = [cell.strip() for cell in rows[0]] if rows else []
    named = all(0 < len(cell) <= 60 and any(c.isalpha() for c in cell) and cell[-1] not in ".:;" for cell in first)
    return first if len(rows) > 1 and named and len(set(first)) == len(first) else []


def format_numbers(what: str, numbers: Sequence[int]) -> str:
    """Some pages, slides or lines by their numbers in order, for a note; runs of three and more as a range.

    >>> format_numbers("page", [2, 5, 7, 8, 9]), format_numbers("slide", [4])
    ('pages 2, 5 and 7-9', 'slide 4')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [part for run in runs for part in ([f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run))]
    if len(parts) > MAX_LISTED:
        parts = [*parts[:MAX_LISTED], "others"]
    last = f" and {parts[-1]}" if len(parts) > 1 else parts[-1]
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(parts[:-1])}{last}"
