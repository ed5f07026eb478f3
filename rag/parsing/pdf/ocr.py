"""Pages of a PDF that are pictures → blocks, by text recognition: rendered, read, and put among the other pages' blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rag.parsing.formats.blocks import Block, format_numbers
from rag.parsing.pdf.layout import PdfLine, lines_to_block, strip_running_heads
from rag.parsing.pdf.tesseract import MAX_PAGE_S, MIN_PAGE_CONFIDENCE, OcrPage, PageImage, PageRecogniser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pypdfium2 import PdfDocument, PdfPage

DPIS = (300, 150, 100)  # Tesseract's models are made for the first; it is taken unless the page is speckled
MOST_SPECKLES = 0.002  # of all pixels; clean pages of ours have up to .0003, see decision 0022
MOST_PIXELS = 25_000_000  # a page of A3 has 17 million at 300 dpi; of a larger one the picture is coarser

Paragraphs = list[list[PdfLine]]


@dataclass(slots=True, kw_only=True)
class OcrResult:
    """What became of the pages of one document that are pictures, by page number."""

    paragraphs: dict[int, Paragraphs] = field(default_factory=dict)
    confidences: dict[int, float] = field(default_factory=dict)
    """0 to 1; of the pages in *paragraphs*."""
    unsure: dict[int, float] = field(default_factory=dict)
    """Pages whose text is too doubtful to be stored, with the confidence."""
    blank: list[int] = field(default_factory=list)
    """Pages on which no text was found, such as photographs."""
    late: list[int] = field(default_factory=list)
    """Pages that took too long."""
    unread: list[int] = field(default_factory=list)
    why_unread: str = ""


def recognise_pages(document: PdfDocument, numbers: Iterable[int], recogniser: PageRecogniser) -> OcrResult:
    """Reads the pages with these numbers, 1-based, as far as the recogniser can."""
    recognised = OcrResult()
    for number in numbers:
        recogniser.n_asked += 1
        recognised.why_unread = recognised.why_unread or recogniser.unavailable_reason()
        if recognised.why_unread:
            recognised.unread.append(number)
            continue
        page = document[number - 1]
        _keep(recognised, number, *_read(page, recogniser))
        page.close()
    return recognised


def _read(page: PdfPage, recogniser: PageRecogniser) -> tuple[PageImage, OcrPage]:
    """The page as it is; if its text is doubtful, the surest of all ways to turn it: scanners are fed upside down."""
    tried = []
    for turned in (0, 180, 90, 270):
        picture = _rendered(page, turned)
        tried.append((picture, recogniser.read(picture)))
        confidence = tried[-1][1].confidence
        if confidence == 0 or confidence >= MIN_PAGE_CONFIDENCE or recogniser.unavailable_reason():
            break
    return max(tried, key=lambda one: one[1].confidence)


def _keep(recognised: OcrResult, number: int, picture: PageImage, found: OcrPage) -> None:
    if not found.in_time:
        recognised.late.append(number)
    elif found.confidence == 0:
        recognised.blank.append(number)
    elif found.confidence < MIN_PAGE_CONFIDENCE:
        recognised.unsure[number] = found.confidence
    else:
        recognised.paragraphs[number] = list(_paragraphs(found, picture, number))
        recognised.confidences[number] = found.confidence


def _rendered(page: PdfPage, turned: int) -> PageImage:
    """The page, turned clockwise by this many degrees.

    If it is speckled it is coarser, which averages the speckles out: Tesseract loses itself in them, for a minute, in
    a stage that no time limit ends, and finds nothing.
    """
    width, height = page.get_size()
    for dpi in DPIS:
        scale = min(dpi / 72, math.sqrt(MOST_PIXELS / max(1.0, width * height)))
        bitmap = page.render(scale=scale, rotation=turned, grayscale=True)
        picture = PageImage(
            pixels=bytes(bitmap.buffer),
            width=bitmap.width,
            height=bitmap.height,
            bytes_per_row=bitmap.stride,
            dpi=round(72 * scale),
        )
        bitmap.close()
        if _speckles(picture) <= MOST_SPECKLES:
            break
    return picture


def _speckles(picture: PageImage) -> float:
    """The share of pixels that are dark among light ones on all four sides, or light among dark ones."""
    import numpy as np

    rows = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.bytes_per_row)[:, : picture.width]
    if min(rows.shape) < 3:
        return 0.0
    dark = rows <= _threshold(np.bincount(rows.ravel(), minlength=256))
    inner = dark[1:-1, 1:-1]
    around = (dark[:-2, 1:-1], dark[2:, 1:-1], dark[1:-1, :-2], dark[1:-1, 2:])
    return float(np.logical_and.reduce([inner != side for side in around]).mean())


def _threshold(counts: NDArray[np.intp]) -> int:
    """The darkest shades, up to this one, against the others: that is how Tesseract parts ink from paper.

    *counts*: (256,), pixels by shade. Otsu, IEEE Trans. Systems, Man and Cybernetics 9(1), 1979: the threshold with the
    greatest variance between both sides.
    """
    import numpy as np

    shades = np.arange(256)
    n_dark, total = np.cumsum(counts), np.cumsum(counts * shades)
    n_light = n_dark[-1] - n_dark
    parted = (n_dark > 0) & (n_light > 0)
    apart = total / np.maximum(n_dark, 1) - (total[-1] - total) / np.maximum(n_light, 1)
    return int(np.argmax(np.where(parted, n_dark.astype(float) * n_light * apart**2, 0)))


def _paragraphs(found: OcrPage, picture: PageImage, number: int) -> Iterator[list[PdfLine]]:
    """Lines in points from the lower left, as those of a text layer are."""
    points = 72 / picture.dpi
    group: list[PdfLine] = []
    for line in found.lines:
        y = (picture.height - line.baseline) * points
        here = PdfLine(
            text=line.text,
            page=number,
            left=line.left * points,
            right=line.right * points,
            first_y=y,
            last_y=y,
            height=line.height * points,
            weight=400,
        )
        if group and (line.begins or here.is_row or group[-1].is_row):
            yield group
            group = []
        if group and group[-1].text.endswith("-") and here.text[:1].islower():
            group[-1] = _hyphen_joined(group[-1], here)
        else:
            group.append(here)
    if group:
        yield group


def _hyphen_joined(before: PdfLine, line: PdfLine) -> PdfLine:
    """Returns two lines as one, as pdfium does if a text layer has hyphens at line ends."""
    return PdfLine(
        text=before.text[:-1] + line.text,
        page=line.page,
        left=before.left,
        right=line.right,
        first_y=before.first_y,
        last_y=line.last_y,
        height=before.height,
        weight=before.weight,
    )


# ---- among the blocks of other pages


def merge_recognised_pages(blocks: Sequence[Block], recognised: OcrResult) -> list[Block]:
    """The blocks of all pages in order. Sizes on pictures are too rough to tell headings: those of before go on."""
    pages = strip_running_heads(
        [[line for group in groups for line in group] for groups in recognised.paragraphs.values()]
    )
    kept = {line for page in pages for line in page}
    merged = list(blocks)
    for number, groups in recognised.paragraphs.items():
        at = next((index for index, block in enumerate(merged) if (block.page or 0) > number), len(merged))
        path = _path_after(merged[at - 1]) if at else ()
        left = [[line for line in group if line in kept] for group in groups]
        merged[at:at] = [lines_to_block(group, path) for group in left if group]
    return merged


def _path_after(block: Block) -> tuple[str, ...]:
    return (*block.headings, block.text) if block.kind == "heading" else block.headings


# ---- what people are told


def describe_ocr(recognised: OcrResult) -> str:
    """Which pages were recognised and how surely, which were not, and why; empty if no page is a picture."""
    notes = []
    if recognised.confidences:
        sure = sum(recognised.confidences.values()) / len(recognised.confidences)
        notes.append(
            f"{format_numbers('page', list(recognised.confidences))} recognised from pictures (OCR), "
            f"mean confidence {sure:.0%}"
        )
    if recognised.unread:
        pages, is_one = format_numbers("page", recognised.unread), len(recognised.unread) == 1
        notes.append(f"{pages} {'is a picture' if is_one else 'are pictures'} without text: {recognised.why_unread}")
    return "; ".join([*notes, *describe_failed_pages(recognised)])


def describe_failed_pages(recognised: OcrResult) -> list[str]:
    """Which pages were tried in vain, and why."""
    doubts = []
    if recognised.blank:
        doubts.append(f"no text was recognised on the picture of {format_numbers('page', recognised.blank)}")
    if recognised.unsure:
        best = max(recognised.unsure.values())
        doubts.append(
            f"the text recognised on {format_numbers('page', list(recognised.unsure))} is too doubtful to be stored "
            f"(confidence at most {best:.0%}, {MIN_PAGE_CONFIDENCE:.0%} is asked): scan upright, at 300 dpi, or "
            "correct parsing.ocr_languages"
        )
    if recognised.late:
        pages = format_numbers("page", recognised.late)
        doubts.append(f"{pages} took longer than {MAX_PAGE_S:g} s to recognise: scan again, cleaner")
    return doubts
