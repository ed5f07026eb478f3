"""PDF → blocks with page numbers, by pypdfium2: its characters as lines, its outline and its title."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, ParsedDocument, format_numbers
from rag.parsing.pdf.layout import WORD_PATTERN, Bookmarks, PdfLine, letters_only, pages_to_blocks
from rag.parsing.pdf.ocr import OcrResult, describe_failed_pages, describe_ocr, merge_recognised_pages, recognise_pages
from rag.parsing.pdf.tesseract import PageRecogniser

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

_WRONG_PASSWORD = 4  # FPDF_ERR_PASSWORD
_HYPHENS = (2, 0xFFFE)  # what pdfium gives for a hyphen that ends a line; the next line follows without a break
_BOLD = re.compile(rb"bold|black|heavy", re.IGNORECASE)
_NO_TITLE = re.compile(
    r"untitled|microsoft (word|powerpoint|excel)|\.(docx?|pptx?|xlsx?|indd|qxd|tex|pdf|rtf)\b", re.IGNORECASE
)
FEW_CHARACTERS = 40  # a page number, a stamp or a scanner's mark


def read_pdf(data: bytes, recogniser: PageRecogniser) -> ParsedDocument:
    """The text layer, and what *recogniser* reads on pages that are pictures.

    Raises:
        DocumentError: it is damaged, needs a password, or has no text that could be read.
    """
    document = _opened(data)
    pages = [_lines(document[index], index + 1) for index in range(len(document))]
    scanned = [number for number, lines in enumerate(pages, 1) if _is_scanned(document, number, lines)]
    recognised = recognise_pages(document, scanned, recogniser)
    for number in recognised.paragraphs:
        pages[number - 1] = []  # a stamp in the text layer is on the picture, too
    empty = [number for number, lines in enumerate(pages, 1) if not lines and number not in scanned]
    if not any(pages) and not recognised.paragraphs:
        raise DocumentError(_without_text(len(pages), recognised))
    blocks = tuple(merge_recognised_pages(list(pages_to_blocks(pages, _bookmarks(document))), recognised))
    notes = [describe_ocr(recognised), f"{format_numbers('page', empty)} without text" if empty else ""]
    return ParsedDocument(
        blocks=blocks, title=_title(document, blocks), media_type="application/pdf", note="; ".join(filter(None, notes))
    )


def _without_text(n_pages: int, recognised: OcrResult) -> str:
    if recognised.unread or describe_failed_pages(recognised):
        reasons = "; ".join(filter(None, [recognised.why_unread, *describe_failed_pages(recognised)]))
        return f"scanned: none of its {n_pages} page(s) has a text layer, and {reasons}"
    return f"there is no text in it: its {n_pages} page(s) are empty, or drawn in lines: export it again, with text"


def _is_scanned(document: PdfDocument, number: int, lines: list[PdfLine]) -> bool:
    """True if pictures cover most of a page that has hardly any text, such as a stamped page number."""
    if sum(len(line.text) for line in lines) > FEW_CHARACTERS:
        return False
    from pypdfium2 import raw

    page = document[number - 1]
    width, height = page.get_size()
    boxes = [picture.get_bounds() for picture in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)]
    area = sum((right - left) * (top - bottom) for left, bottom, right, top in boxes)
    page.close()
    return bool(boxes) and (not lines or area > 0.5 * width * height)


def _opened(data: bytes) -> PdfDocument:
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(data)
    except PdfiumError as error:
        if getattr(error, "err_code", None) == _WRONG_PASSWORD:
            raise DocumentError("the PDF needs a password: save a copy without one") from error
        raise DocumentError(f"the PDF is damaged or incomplete ({error}): download or export it again") from error
    if len(document) == 0:
        raise DocumentError("the PDF has no pages: export it again")
    return document


# ---- characters to lines


def _lines(page: PdfPage, number: int) -> list[PdfLine]:
    from pypdfium2 import raw

    text_page = page.get_textpage()
    lines: list[PdfLine] = []
    characters: list[tuple[int, int]] = []  # index, code
    n_characters = text_page.count_chars()
    for index in range(n_characters + 1):
        code = raw.FPDFText_GetUnicode(text_page, index) if index < n_characters else 10
        if code not in (10, 13):
            characters.append((index, code))
        elif characters:
            line = _line(text_page, characters, number)
            characters = []
            if line is not None:
                lines.append(line)
    text_page.close()
    page.close()
    return _joined_baselines(lines)


def _line(text_page: PdfTextPage, characters: list[tuple[int, int]], page: int) -> PdfLine | None:
    visible = [index for index, code in characters if code > 32 and code != 0xA0]
    if not visible:
        return None
    first, last = _box(text_page, visible[0]), _box(text_page, visible[-1])
    middle = visible[len(visible) // 2]  # a footnote mark in front is smaller
    height = _box(text_page, middle)
    return PdfLine(
        text=_text(characters),
        page=page,
        left=first[0],
        right=last[2],
        first_y=first[1],
        last_y=last[1],
        height=height[3] - height[1],
        weight=_weight(text_page, middle),
    )


def _weight(text_page: PdfTextPage, index: int) -> int:
    """What the font says of its stems; if it says nothing, 700 or 400 by its name."""
    from ctypes import c_int, create_string_buffer

    from pypdfium2 import raw

    weight = int(raw.FPDFText_GetFontWeight(text_page, index))
    if weight > 0:
        return weight
    name = create_string_buffer(128)
    raw.FPDFText_GetFontInfo(text_page, index, name, 128, c_int())
    return 700 if _BOLD.search(name.value) else 400


def _box(text_page: PdfTextPage, index: int) -> tuple[float, float, float, float]:
    """Left, bottom, right, top."""
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(text_page, index, box)
    return box.left, box.bottom, box.right, box.top


def _text(characters: list[tuple[int, int]]) -> str:
    """The line's text; a hyphen at a line end goes if small letters go on, and stays elsewhere (`Non-GAAP`)."""
    parts = []
    for (_, code), (_, following) in pairwise([*characters, (0, 0)]):
        if code in _HYPHENS:
            parts.append("" if chr(following).islower() else "-")
        else:
            parts.append(chr(code))
    text = "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(text.split())


def _joined_baselines(lines: list[PdfLine]) -> list[PdfLine]:
    """pdfium breaks a line at a superscript; the pieces are put together again."""
    joined: list[PdfLine] = []
    for line in lines:
        before = joined[-1] if joined else None
        beside = before is not None and abs(line.first_y - before.last_y) < 0.5 * max(line.height, before.height)
        if before is not None and beside and -1 <= line.left - before.right < 2 * before.height:
            space = " " if line.left - before.right > 0.15 * before.height else ""
            joined[-1] = PdfLine(
                text=before.text + space + line.text,
                page=line.page,
                left=before.left,
                right=line.right,
                first_y=before.first_y,
                last_y=line.last_y,
                height=max(before.height, line.height),
                weight=before.weight,
            )
        else:
            joined.append(line)
    return joined


# ---- what the document says of itself


def _bookmarks(document: PdfDocument) -> Bookmarks:
    """Level by page and title of the outline that people see next to the pages; {} if it is none to speak of."""
    found: Bookmarks = {}
    for item in document.get_toc(max_depth=6):
        target = item.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None:
            found[page + 1, letters_only(item.get_title())] = item.level + 1
    return found if len(found) >= 3 else {}


def _title(document: PdfDocument, blocks: tuple[Block, ...]) -> str:
    """The first page's first heading, else what the metadata say; neither if it names a kind or a file.

    Of two words or fewer, as "UNITED STATES" and "FORM 10-K" on filings, many documents have the same one.
    """
    first = next((block.text for block in blocks if block.kind == "heading" and block.page == 1), "")
    named = " ".join(document.get_metadata_dict().get("Title", "").split())
    candidates = [first, "" if _NO_TITLE.search(named) else named]
    return next((title for title in candidates if len(WORD_PATTERN.findall(title)) >= 3), "")
