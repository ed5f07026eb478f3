"""HTML → blocks, by BeautifulSoup on lxml. Nothing is fetched or run; scripts, styles and navigation are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from rag.parsing.formats.blocks import Block, BlockKind, HeadingStack, ParsedDocument, detect_header, format_row
from rag.parsing.formats.text import decode_text

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import Tag

_DROPPED = {
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "iframe",
    "object",
    "embed",
    "canvas",
    "button",
    "select",
    "input",
    "textarea",
    "nav",
    "footer",
    "head",
    "audio",
    "video",
    "datalist",
}
_DROPPED_ROLES = {"navigation", "banner", "contentinfo", "search", "menu", "menubar", "dialog"}
_BREAKING = {
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "form",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
}
_HEADING = re.compile(r"h[1-6]")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_AROUND_BREAK = re.compile(r" *\n *")
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
LONG_CELL = 300  # characters; a table with longer cells lays out a page

_Event = tuple[Literal["open", "close"], "Tag"] | tuple[Literal["text"], str]


def read_html(data: bytes) -> ParsedDocument:
    """The page's main part: `<main>` or `<article>` if they hold most of the text, else the body."""
    declared = _DECLARED.search(data[:4096])
    blocks, title = parse_html_blocks(
        decode_text(data, declared.group(1).decode("ascii") if declared else None), HeadingStack()
    )
    return ParsedDocument(blocks=tuple(blocks), title=title, media_type="text/html")


def parse_html_blocks(markup: str, headings: HeadingStack) -> tuple[list[Block], str]:
    """The blocks of a page or a piece of one, below *headings*, and its title: the only h1, the title or a heading."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(markup, "lxml")
    named = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.find_all(_is_dropped):
        if not tag.decomposed:
            tag.decompose()
    reader = _Reader(headings)
    for event in _events(_main_part(soup)):
        reader.take(event)
    reader.flush()
    h1 = reader.h1s[0] if len(reader.h1s) == 1 else ""  # Word makes every heading one
    return reader.blocks, h1 or " ".join(named.split()) or headings.title


def _is_dropped(tag: Tag) -> bool:
    if tag.name in _DROPPED or tag.get("role") in _DROPPED_ROLES or tag.has_attr("hidden"):
        return True
    return tag.get("aria-hidden") == "true" or bool(_HIDDEN.search(str(tag.get("style", ""))))


def _main_part(soup: BeautifulSoup) -> Tag:
    """Navigation that is not marked as such stays outside `<main>`; a main part with little of the text is none."""
    n_all = len(soup.get_text(" ", strip=True))
    for name in ("article", "main"):
        found = soup.find_all(name)
        if len(found) == 1 and 2 * len(found[0].get_text(" ", strip=True)) > n_all:
            return found[0]
    return soup


def _events(root: Tag) -> Iterator[_Event]:
    """Opening tags, texts and closing tags in order, without recursion: pages nest deeper than Python does."""
    from bs4.element import CData, NavigableString, Tag

    stack: list[_Event] = [("open", root)]
    while stack:
        event = stack.pop()
        yield event
        if event[0] == "open":
            stack.append(("close", event[1]))
            for child in reversed(event[1].contents):
                if isinstance(child, Tag):
                    stack.append(("open", child))
                elif type(child) in (NavigableString, CData):  # their subclasses are comments, doctypes, scripts
                    stack.append(("text", str(child)))


class _Reader:
    """Collects text until a tag breaks the line, then makes a block of it."""

    def __init__(self, headings: HeadingStack) -> None:
        self.blocks: list[Block] = []
        self.headings = headings
        self.h1s: list[str] = []
        self.parts: list[str] = []
        self.kind: BlockKind = "paragraph"
        self.marker = ""
        self.counts: list[int | None] = []  # of the lists around: the next number, None if items are unnumbered
        self.n_pre = 0  # how many <pre> are open
        self.table: Tag | None = None  # the data table around, whose content is taken at once

    def take(self, event: _Event) -> None:
        """One step through the page."""
        if event[0] == "text":
            if self.table is None:
                self.parts.append(event[1] if self.n_pre else _SPACES.sub(" ", event[1]))
        elif event[0] == "open":
            self._open(event[1])
        else:
            self._close(event[1])

    def _open(self, tag: Tag) -> None:
        if self.table is not None:
            return
        if tag.name == "br":
            self.parts.append("\n")
        elif tag.name in _BREAKING or _HEADING.fullmatch(tag.name):
            self.flush()
        if tag.name in ("ul", "ol"):
            self.counts.append(1 if tag.name == "ol" else None)
        elif tag.name == "li":
            self._open_item()
        elif tag.name == "pre":
            self.n_pre += 1
        elif tag.name == "table" and _holds_data(tag):
            self.table = tag
            self.blocks.extend(_rows(tag, self.headings.path))
        elif tag.name in ("td", "th"):
            self.parts.append(" ")

    def _open_item(self) -> None:
        number = self.counts[-1] if self.counts else None
        self.marker = f"{number}. " if number else "- "
        if number:
            self.counts[-1] = number + 1

    def _close(self, tag: Tag) -> None:
        if self.table is not None:
            self.table = None if tag is self.table else self.table
        elif _HEADING.fullmatch(tag.name):
            self._end_heading(int(tag.name[1]))
        elif tag.name in _BREAKING:
            self.flush("code" if tag.name == "pre" else None)
            self.n_pre -= tag.name == "pre"
            if tag.name in ("ul", "ol") and self.counts:
                self.counts.pop()
            if tag.name == "li":
                self.marker = ""

    def _text(self) -> str:
        text = "".join(self.parts)
        self.parts.clear()
        return text.strip("\n") if self.n_pre else _AROUND_BREAK.sub("\n", _SPACES_ONLY.sub(" ", text)).strip()

    def _end_heading(self, level: int) -> None:
        text = " ".join(self._text().split()).rstrip("¶#").rstrip()  # Sphinx and others append a link to itself
        if text:
            self.blocks.append(self.headings.enter(level, text))
            self.h1s += [text] * (level == 1)

    def flush(self, kind: BlockKind | None = None) -> None:
        """Ends the block."""
        text = self._text()
        if text.strip():
            kind = kind or ("list" if self.counts else "paragraph")
            self.blocks.append(Block(self.marker + text, kind, self.headings.path))
            self.marker = ""


_SPACES_ONLY = re.compile(r"[ \t]+")


def _holds_data(table: Tag) -> bool:
    """False for tables that lay out a page: nested ones, one column, long cells, headings inside."""
    if table.find(["table", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre"]) or table.find_parent("table"):
        return False
    rows = [row.find_all(["td", "th"]) for row in table.find_all("tr")]
    if max((len(row) for row in rows), default=0) < 2:
        return False
    return all(len(cell.get_text()) <= LONG_CELL for row in rows for cell in row)


def _rows(table: Tag, path: tuple[str, ...]) -> Iterator[Block]:
    caption = table.find("caption")
    if caption:
        yield Block(" ".join(caption.get_text(" ").split()), "paragraph", path)
    cells = [[_cell(cell) for cell in row.find_all(["td", "th"])] for row in table.find_all("tr")]
    first = table.find("tr")
    marked = first is not None and len(first.find_all("th")) > 1
    header = cells[0] if marked and len(cells) > 1 else detect_header(cells)
    for row in cells[1:] if header else cells:
        text = format_row(header, row)
        if text:
            yield Block(text, "row", path)


def _cell(cell: Tag) -> str:
    return " ".join(cell.get_text(" ").split())
