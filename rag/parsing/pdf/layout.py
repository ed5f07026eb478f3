"""Lines at places on pages → blocks: what belongs together, what is a heading, and what is a table's row.

PDF knows only characters at places. pdfium puts them in lines and columns; the rest is decided here by the gaps,
indents, sizes and weights of lines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from rag.parsing.formats.blocks import Block, BlockKind, HeadingStack

WORD_PATTERN = re.compile(r"[^\W\d_]{2,}")
_DIGITS = re.compile(r"\d+")
_FIGURE = re.compile(r"[($€£¥+–-]*\d(?:[\d.,:/]*\d)?[%)]*|[—–-]")
_CHECK_BOX = re.compile(r"[☐☑☒]")
MAX_HEADING_WORDS = 14

Bookmarks = dict[tuple[int, str], int]
"""The level of a heading by its page and its letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfLine:
    """One or more lines that pdfium gave as one (it joins at hyphens), in points from the lower left."""

    text: str
    page: int
    left: float
    right: float
    first_y: float
    """Of the first line's lower edge."""
    last_y: float
    height: float
    weight: int
    """Of the font, in units that only compare within one document."""

    @property
    def is_row(self) -> bool:
        """True if it ends in figures, or they make up much of it, as in a table's row."""
        words = [word for word in self.text.split() if word not in "$€£¥"]
        figures = [_FIGURE.fullmatch(word) is not None for word in words]
        return len(words) > 2 and sum(figures) >= 2 and (3 * sum(figures) >= len(words) or all(figures[-2:]))


# ---- running heads and feet


def _edges(page: Sequence[PdfLine]) -> list[PdfLine]:
    by_height = sorted(page, key=lambda line: line.first_y)
    return [*by_height[:2], *by_height[2:][-2:]]


def _pattern(line: PdfLine) -> str:
    return _DIGITS.sub("#", line.text)


def _repeated_edges(pages: list[list[PdfLine]]) -> set[str]:
    """Texts, figures aside, that are at the top or bottom of at least three pages and of two pages in five."""
    counts = Counter(pattern for page in pages for pattern in {_pattern(line) for line in _edges(page)})
    return {pattern for pattern, n in counts.items() if n >= max(3, 0.4 * len(pages))}


def strip_running_heads(pages: list[list[PdfLine]]) -> list[list[PdfLine]]:
    """The pages without running heads and feet; as they are if nothing else is on them."""
    repeated = _repeated_edges(pages)
    kept = [[line for line in page if not _is_edge(line, page, repeated)] for page in pages]
    return kept if any(kept) else pages


def _is_edge(line: PdfLine, page: list[PdfLine], repeated: set[str]) -> bool:
    return _pattern(line) in repeated and line in _edges(page)


# ---- lines to blocks


def pages_to_blocks(pages: list[list[PdfLine]], bookmarks: Bookmarks) -> Iterator[Block]:
    """The blocks of all pages, without running heads and feet.

    Headings are if *bookmarks* say; if there are none, larger or bolder lines that stand alone.
    """
    lines = [line for page in strip_running_heads(pages) for line in page]
    look = _Look.of(lines)
    headings = HeadingStack()
    group: list[PdfLine] = []
    for before, line in pairwise([None, *lines]):
        assert line is not None  # only the first *before* is absent
        level = _bookmarked(line, bookmarks) if bookmarks else look.level(line, before)
        if level is not None or (before is not None and _breaks(before, line, look)):
            if group:
                yield lines_to_block(group, headings.path)
            group = []
        if level is not None:
            yield headings.enter(level, line.text, line.page)
        else:
            group.append(line)
    if group:
        yield lines_to_block(group, headings.path)


def lines_to_block(group: list[PdfLine], path: tuple[str, ...]) -> Block:
    """The lines of one paragraph, or of one table row, below the headings of *path*."""
    kind: BlockKind = "row" if group[0].is_row else "paragraph"
    return Block(_joined(group), kind, path, group[0].page)


def _joined(group: list[PdfLine]) -> str:
    """Lines that reach the right edge run on; shorter ones end there."""
    right = max(line.right for line in group)
    left = min(line.left for line in group)
    parts = [group[0].text]
    for before, line in pairwise(group):
        is_full = before.right > right - 0.25 * (right - left) or line.text[:1].islower()
        parts.append((" " if is_full else "\n") + line.text)
    return "".join(parts)


def _breaks(before: PdfLine, line: PdfLine, look: _Look) -> bool:
    """True if a new block begins: another page, a gap, an indent, another size, or a table's row."""
    if line.page != before.page or line.is_row or before.is_row:
        return True
    if abs(line.height - before.height) > 0.15 * before.height:
        return True
    gap = before.last_y - line.first_y
    if gap < -before.height:  # the next column: a sentence may run on
        return before.text[-1:] in ".!?:"
    if gap > look.pitch * 1.25 + 0.1 * line.height:
        return True
    indent = line.left - before.left
    return 0.6 * line.height < indent < 4 * line.height and before.text[-1:] in '.!?:”")'


@dataclass(frozen=True, slots=True)
class _Look:
    """How the document's running text looks, which headings differ from."""

    height: float
    weight: int
    pitch: float
    """From one line to the next, in points."""
    heights: tuple[float, ...]
    """Of lines larger than running text, largest first: a heading's level is its place."""

    @classmethod
    def of(cls, lines: list[PdfLine]) -> _Look:
        """Running text is what most characters look like."""
        looks: Counter[tuple[float, int]] = Counter()
        for line in lines:
            looks[round(line.height * 2) / 2, line.weight] += len(line.text)
        (height, weight), _ = looks.most_common(1)[0] if looks else ((10.0, 0), 0)
        gaps = [a.last_y - b.first_y for a, b in pairwise(lines) if a.page == b.page and abs(a.left - b.left) < 2]
        pitch = median([gap for gap in gaps if 0.8 * height < gap < 2 * height] or [1.2 * height])
        larger = {round(line.height * 2) / 2 for line in lines if line.height > 1.1 * height}
        return cls(height, weight, pitch, tuple(sorted(larger, reverse=True)))

    def level(self, line: PdfLine, before: PdfLine | None) -> int | None:
        """The heading's level, 1-based; None for running text."""
        words = line.text.split()
        if (
            line.is_row
            or _CHECK_BOX.search(line.text)
            or len(words) > MAX_HEADING_WORDS
            or len(WORD_PATTERN.findall(line.text)) * 2 < len(words)
        ):
            return None
        if line.text[-1:] in ".,;:" or not line.text[:1].strip("([{•–-") or line.text[:1].islower():
            return None
        if line.height > 1.1 * self.height:
            return 1 + self.heights.index(round(line.height * 2) / 2)
        is_bold = line.weight > 1.25 * self.weight and line.height > 0.97 * self.height
        stands_off = before is None or before.page != line.page or before.last_y - line.first_y > 1.2 * self.pitch
        return 1 + len(self.heights) if is_bold and stands_off else None


def _bookmarked(line: PdfLine, bookmarks: Bookmarks) -> int | None:
    return bookmarks.get((line.page, letters_only(line.text)))


def letters_only(text: str) -> str:
    """For comparing: numbering and punctuation differ between an outline and the page.

    >>> letters_only("2.1 Set-up") == letters_only("Set-Up")
    True
    """
    return "".join(c for c in text.lower() if c.isalpha())
