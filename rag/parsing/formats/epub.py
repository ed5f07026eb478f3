"""E-books (.epub) → blocks, by zipfile, lxml and our reader of HTML, in the order of the book's spine.

An EPUB is a zip of XHTML pages with a list of their order. The one library for it that is kept, EbookLib, is under the
AGPL, and would hand over the same bytes.
"""

from __future__ import annotations

import posixpath
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument
from rag.parsing.formats.html import parse_html_blocks
from rag.parsing.formats.text import decode_text
from rag.parsing.formats.zip_container import MALFORMED_ERRORS, malformed_error, open_zip_document

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

MEDIA_TYPE = "application/epub+zip"
_PAGES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # scrambled, not locked


def read_epub(data: bytes) -> ParsedDocument:
    """Every page of the spine; a page without a heading of its own is below its entry in the table of contents.

    Raises:
        DocumentError: it is damaged, or locked (DRM).
    """
    with open_zip_document(data, "e-book") as package:
        try:
            book = _book(package)
            headings = HeadingStack()
            blocks: list[Block] = []
            missing = []
            for name in book.pages:
                try:
                    page = decode_text(package.read(name), "utf-8")
                except KeyError:
                    missing.append(name)
                    continue
                blocks += _page(page, book.chapters.get(name, ""), headings)
        except MALFORMED_ERRORS as error:
            raise malformed_error("e-book", error) from error
    note = f"{len(missing)} page(s) missing in it, as {missing[0]!r}" if missing else ""
    return ParsedDocument(blocks=tuple(blocks), title=book.title or headings.title, media_type=MEDIA_TYPE, note=note)


def _page(markup: str, chapter: str, headings: HeadingStack) -> list[Block]:
    """The page's blocks; *chapter*, its name in the table of contents, is above if it has no heading."""
    alone = parse_html_blocks(markup, HeadingStack())[0]
    if any(block.kind == "heading" for block in alone):
        return parse_html_blocks(markup, headings)[0]
    headings.leave()
    named = [headings.enter(1, chapter)] if chapter and alone else []
    return [*named, *parse_html_blocks(markup, headings)[0]]


# ---- the package's own lists


@dataclass(frozen=True, slots=True)
class _Book:
    title: str
    pages: list[str]
    """Names inside the package, in reading order."""
    chapters: dict[str, str]
    """The first entry of the table of contents that leads to each page; {} without one."""


def _book(package: zipfile.ZipFile) -> _Book:
    container = _xml(package, "META-INF/container.xml")
    root = container.find(".//{*}rootfile")
    opf = unquote(root.get("full-path", "")) if root is not None else ""
    book = _xml(package, opf)
    items = {item.get("id"): item for item in book.iterfind(".//{*}manifest/{*}item")}
    place = {key: _inside(opf, item.get("href", "")) for key, item in items.items()}
    spine = book.find(".//{*}spine")
    refs = [ref.get("idref") for ref in spine.iterfind("{*}itemref")] if spine is not None else []
    pages = [place[key] for key in refs if key in items and items[key].get("media-type") in _PAGES]
    if not pages:
        raise DocumentError("the e-book lists no pages to read: is it one of pictures only?")
    _check_unlocked(package, set(pages))
    title = book.findtext(".//{*}metadata/{http://purl.org/dc/elements/1.1/}title") or ""
    return _Book(" ".join(title.split()), pages, _chapters(package, items, place, spine))


def _check_unlocked(package: zipfile.ZipFile, pages: set[str]) -> None:
    if "META-INF/encryption.xml" not in package.namelist():
        return
    for entry in _xml(package, "META-INF/encryption.xml").iterfind(".//{*}EncryptedData"):
        method, reference = entry.find("{*}EncryptionMethod"), entry.find(".//{*}CipherReference")
        is_font = method is not None and method.get("Algorithm", "") in _FONTS
        if reference is not None and not is_font and unquote(reference.get("URI", "")) in pages:
            raise DocumentError("the e-book is locked to a reader's account (DRM): only a copy without it can be read")


def _chapters(package: zipfile.ZipFile, items: dict[Any, Element], place: dict[Any, str], spine: Any) -> dict[str, str]:
    """By the navigation page of EPUB 3, else by the NCX of EPUB 2; books without either have none."""
    navigation = next((key for key, item in items.items() if "nav" in (item.get("properties") or "").split()), None)
    ncx = spine.get("toc") if spine is not None else None
    names = set(package.namelist())
    if navigation is not None and place[navigation] in names:
        tree = _xml(package, place[navigation])
        links = [(link.get("href", ""), "".join(link.itertext())) for link in tree.iterfind(".//{*}nav//{*}a")]
        return _named(place[navigation], links)
    if ncx in place and place[ncx] in names:
        points = [
            (point.find("{*}content"), point.findtext("{*}navLabel/{*}text") or "")
            for point in _xml(package, place[ncx]).iterfind(".//{*}navPoint")
        ]
        return _named(place[ncx], [(content.get("src", ""), text) for content, text in points if content is not None])
    return {}


def _named(beside: str, links: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for href, text in links:
        if text.strip():
            found.setdefault(_inside(beside, href), " ".join(text.split()))
    return found


def _inside(beside: str, href: str) -> str:
    """The package's name for what a file of it links to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(beside), unquote(href.partition("#")[0])))


def _xml(package: zipfile.ZipFile, name: str) -> Element:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    root = etree.fromstring(package.read(name), parser)
    if root is None:
        raise ValueError(f"{name} is no XML")
    return root
