"""reStructuredText → blocks, by docutils. Nothing is included, run or fetched.

Sphinx's roles and directives are unknown to docutils, which would leave their text out: those that a file uses are
read for their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rag.parsing.formats.blocks import Block, BlockKind, HeadingStack, ParsedDocument, format_row
from rag.parsing.formats.text import decode_text

if TYPE_CHECKING:
    from docutils import nodes

_DIRECTIVE = re.compile(r"^[ \t]*\.\. ([\w.:+-]+?)::(?:[ \t]|$)", re.MULTILINE)
_ROLE = re.compile(r":([\w.:+-]+?):`")
_TARGET = re.compile(r"(.+?)\s*<[^<>]*>", re.DOTALL)
_WITHOUT_TEXT = {
    "toctree",
    "index",
    "automodule",
    "autoclass",
    "autofunction",
    "automethod",
    "include",
    "raw",
    "highlight",
    "currentmodule",
    "module",
    "tabularcolumns",
    "only",
    "contents",
}
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "line_length_limit": 10**9,
    "input_encoding": "unicode",
}


def read_rst(data: bytes) -> ParsedDocument:
    """Sections are headings; comments, images and what is only for the layout are left out."""
    from docutils.core import publish_doctree

    text = decode_text(data).replace("\r\n", "\n")
    _know(text)
    reader = _Reader()
    blocks = tuple(reader.blocks(publish_doctree(text, settings_overrides=_SETTINGS)))
    return ParsedDocument(blocks=blocks, title=reader.headings.title, media_type="text/x-rst")


# ---- what docutils does not know


def _know(text: str) -> None:
    """Registers what the text uses and docutils does not know; the same name means the same in every file."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    directive = _plain_directive()
    for name in set(_DIRECTIVE.findall(text)):
        if name.lower() not in en.directives or name in _WITHOUT_TEXT:
            directives.register_directive(name, directive)
    for name in set(_ROLE.findall(text)):
        if name.lower() not in en.roles:
            roles.register_local_role(name.lower(), _plain_role)


def _plain_directive() -> Any:
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Plain(Directive):  # type: ignore[misc]  # docutils has no types
        """A directive whose argument becomes a paragraph and whose content becomes text."""

        optional_arguments = 1
        final_argument_whitespace = True
        has_content = True
        option_spec = None

        def run(self) -> list[Any]:
            """The nodes in its place."""
            if self.name in _WITHOUT_TEXT:
                return []
            argument = " ".join(self.arguments)
            inside = nodes.container()
            if argument:
                inside += nodes.paragraph(argument, argument)
            self.state.nested_parse(self.content, self.content_offset, inside)
            return [inside]

    return Plain


def _plain_role(name: str, rawtext: str, text: str, *_rest: Any, **_named: Any) -> tuple[list[Any], list[Any]]:
    """The words that people see: of `title <target>` the title, of `~a.b.name` the name."""
    from docutils import nodes

    titled = _TARGET.fullmatch(text)
    shown = titled.group(1) if titled else text.rsplit(".", 1)[-1] if text.startswith("~") else text.lstrip("!")
    return [nodes.inline(rawtext, shown)], []


# ---- nodes to blocks


class _Reader:
    """Walks the tree of the document in reading order."""

    def __init__(self) -> None:
        self.headings = HeadingStack()
        self.depth = 0
        self.marker = ""  # of a list item whose first text is still to come
        self.n_lists = 0  # how many lists are around

    def blocks(self, parent: nodes.Node) -> Iterator[Block]:
        """The blocks below a node."""
        for node in parent.children:
            read = getattr(self, f"_{node.tagname}", None)
            if read is not None:
                yield from read(node)
            elif getattr(node, "tagname", "") not in _SILENT:
                yield from self.blocks(node)

    def _block(self, text: str, kind: BlockKind = "paragraph") -> Iterator[Block]:
        if text.strip():
            kind = "list" if kind == "paragraph" and (self.n_lists or self.marker) else kind
            yield Block(self.marker + text.strip("\n"), kind, self.headings.path)
            self.marker = ""

    def _section(self, node: nodes.Node) -> Iterator[Block]:
        self.depth += 1
        yield from self.blocks(node)
        self.depth -= 1

    def _title(self, node: nodes.Node) -> Iterator[Block]:
        if node.parent.tagname == "section":
            yield self.headings.enter(self.depth, " ".join(node.astext().split()))
        else:
            yield from self._paragraph(node)

    def _paragraph(self, node: nodes.Node) -> Iterator[Block]:
        yield from self._block(" ".join(_text(node).split()))

    _rubric = _caption = _attribution = _paragraph

    def _line_block(self, node: nodes.Node) -> Iterator[Block]:
        yield from self._block("\n".join(line for line in _text(node).split("\n") if line.strip()))

    def _literal_block(self, node: nodes.Node) -> Iterator[Block]:
        yield from self._block(node.astext(), "code")

    _doctest_block = _math_block = _literal_block

    def _bullet_list(self, node: nodes.Node) -> Iterator[Block]:
        number = node.get("start", 1) if node.tagname == "enumerated_list" else None
        self.n_lists += 1
        for index, item in enumerate(node.children):
            self.marker = "- " if number is None else f"{number + index}. "
            yield from self.blocks(item)
        self.n_lists -= 1
        self.marker = ""

    _enumerated_list = _bullet_list

    def _definition_list_item(self, node: nodes.Node) -> Iterator[Block]:
        term = " ".join(child.astext() for child in node.children if child.tagname in ("term", "classifier"))
        yield from self._named(" ".join(term.split()), node.children[-1])

    def _field(self, node: nodes.Node) -> Iterator[Block]:
        if node.children[-1].astext().strip():
            yield from self._named(node.children[0].astext(), node.children[-1])

    def _option_list_item(self, node: nodes.Node) -> Iterator[Block]:
        yield from self._named(", ".join(option.astext() for option in node.children[0].children), node.children[-1])

    def _footnote(self, node: nodes.Node) -> Iterator[Block]:
        yield from self._named(f"[{node.children[0].astext()}]", node, " ")

    _citation = _footnote

    def _named(self, name: str, body: nodes.Node, between: str = ": ") -> Iterator[Block]:
        """What a name stands for, the name in front of its first text."""
        self.marker += name + between
        self.n_lists += 1
        yield from self.blocks(body)
        self.n_lists -= 1
        self.marker = ""

    def _table(self, node: nodes.Node) -> Iterator[Block]:
        for title in node.findall(lambda child: child.tagname == "title"):
            yield from self._block(title.astext())
        heads = [_cells(row) for head in node.findall(_is("thead")) for row in head.children]
        header = heads[-1] if heads else []
        for body in node.findall(_is("tbody")):
            for row in body.children:
                yield from self._block(format_row(header, _cells(row)), "row")


_SILENT = {
    "comment",
    "substitution_definition",
    "system_message",
    "image",
    "target",
    "pending",
    "label",
    "raw",
    "meta",
    "problematic",
    "term",
    "classifier",
    "field_name",
}


def _is(tagname: str) -> Any:
    return lambda node: node.tagname == tagname


def _cells(row: nodes.Node) -> list[str]:
    """The cells' texts, and an empty one for every further column that one spans."""
    cells: list[str] = []
    for entry in row.children:
        cells += [" ".join(_text(entry).split()), *[""] * int(entry.get("morecols", 0))]
    return cells


def _text(node: nodes.Node) -> str:
    """The text without docutils' own messages and without pictures' names."""
    if node.tagname in ("system_message", "image", "comment"):
        return ""
    if not node.children:
        return str(node.astext())
    between = "\n" if node.tagname in ("line_block", "entry", "bullet_list", "list_item") else ""
    return between.join(_text(child) for child in node.children)
