"""Markdown → blocks, by markdown-it-py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag.parsing.formats.blocks import Block, BlockKind, HeadingStack, ParsedDocument, format_row
from rag.parsing.formats.html import parse_html_blocks
from rag.parsing.formats.text import decode_text

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_LINE_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)


def read_markdown(data: bytes) -> ParsedDocument:
    """CommonMark with tables; HTML inside is read as HTML, and a YAML front matter only for its title."""
    from markdown_it import MarkdownIt

    text = decode_text(data).replace("\r\n", "\n")
    front = _FRONT_MATTER.match(text)
    title = _FRONT_TITLE.search(front.group(1)) if front else None
    tokens = MarkdownIt("commonmark").enable("table").parse(text[front.end() :] if front else text)
    reader = _Reader()
    for token in tokens:
        reader.take(token)
    named = title.group(1).strip("\"'") if title else reader.headings.title
    return ParsedDocument(blocks=tuple(reader.blocks), title=named, media_type="text/markdown")


class _Reader:
    """Follows the flat list of tokens; remembers which list, table or heading it is in."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.headings = HeadingStack()
        self.heading_level = 0  # 0 outside a heading
        self.markers: list[str] = []  # of the lists around, innermost last
        self.marker = ""  # of an item whose first paragraph is still to come
        self.header: list[str] = []
        self.cells: list[str] | None = None  # of the row around

    def take(self, token: Token) -> None:
        """Looks up what this kind of token does; most do nothing."""
        handler = getattr(self, f"_{token.type}", None)
        if handler is not None:
            handler(token)

    def _add(self, text: str, kind: BlockKind) -> None:
        if text.strip():
            self.blocks.append(Block(text, kind, self.headings.path))

    def _inline(self, token: Token) -> None:
        text = _plain(token).strip()
        if self.cells is not None:
            self.cells.append(" ".join(text.split()))
        elif self.heading_level:
            self.blocks.append(self.headings.enter(self.heading_level, " ".join(text.split())))
        elif self.markers:
            self._add(self.marker + text, "list")
            self.marker = ""
        else:
            self._add(text, "paragraph")

    def _heading_open(self, token: Token) -> None:
        self.heading_level = int(token.tag[1])

    def _heading_close(self, _token: Token) -> None:
        self.heading_level = 0

    def _list_open(self, token: Token) -> None:
        self.markers.append(token.markup)

    def _list_close(self, _token: Token) -> None:
        self.markers.pop()
        self.marker = ""

    _bullet_list_open = _ordered_list_open = _list_open
    _bullet_list_close = _ordered_list_close = _list_close

    def _list_item_open(self, token: Token) -> None:
        self.marker = f"{token.info}{token.markup} " if token.info else "- "  # info is the number of an ordered item

    def _fence(self, token: Token) -> None:
        self._add(token.content.rstrip("\n"), "code")

    _code_block = _fence

    def _html_block(self, token: Token) -> None:
        self.blocks.extend(parse_html_blocks(token.content, self.headings)[0])

    def _thead_open(self, _token: Token) -> None:
        self.header = []

    def _tr_open(self, _token: Token) -> None:
        self.cells = []

    def _tr_close(self, _token: Token) -> None:
        cells, self.cells = self.cells or [], None
        if self.header:
            self._add(format_row(self.header, cells), "row")
        else:
            self.header = cells

    def _table_close(self, _token: Token) -> None:
        self.header = []


def _plain(token: Token) -> str:
    """An inline token's text without marks; a link leaves its words, an image its description."""
    parts = []
    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            parts.append(" " if child.type == "softbreak" else "\n")
        elif child.type == "html_inline":
            parts.append("\n" if _LINE_BREAK_TAG.fullmatch(child.content) else "")
        elif child.type in ("text", "code_inline", "image"):
            parts.append(child.content)
    return "".join(parts)
