"""PowerPoint slides (.pptx) → blocks, by python-pptx: a slide is a page, its title the heading."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rag.parsing.formats.blocks import (
    Block,
    BlockKind,
    HeadingStack,
    ParsedDocument,
    detect_header,
    format_numbers,
    format_row,
)
from rag.parsing.formats.zip_container import MALFORMED_ERRORS, malformed_error, open_zip_document

if TYPE_CHECKING:
    from pptx.presentation import Presentation
    from pptx.slide import Slide

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_FURNITURE = {"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"}  # placeholders that every slide repeats


def read_pptx(data: bytes) -> ParsedDocument:
    """Titles, texts, tables, charts and speaker's notes; hidden slides are left out, as those who look on see none."""
    presentation = _presentation(data)
    headings = HeadingStack()
    blocks: list[Block] = []
    hidden, empty = [], []
    for number, slide in enumerate(presentation.slides, 1):
        found = [] if _is_hidden(slide) else list(_slide(slide, number, headings))
        blocks += found
        if _is_hidden(slide):
            hidden.append(number)
        elif not found:
            empty.append(number)
    notes = [
        f"{format_numbers('slide', numbers)} {what}"
        for numbers, what in ((hidden, "hidden, left out"), (empty, "without text"))
        if numbers
    ]
    return ParsedDocument(
        blocks=tuple(blocks), title=_title(presentation, blocks), media_type=MEDIA_TYPE, note="; ".join(notes)
    )


def _presentation(data: bytes) -> Presentation:
    from pptx import Presentation
    from pptx.exc import PythonPptxError

    open_zip_document(data, "PowerPoint file").close()
    try:
        return Presentation(io.BytesIO(data))
    except (*MALFORMED_ERRORS, PythonPptxError, SyntaxError, AttributeError) as error:
        raise malformed_error("PowerPoint file", error) from error


def _title(presentation: Presentation, blocks: list[Block]) -> str:
    """The first slide's; what the properties say is mostly the template's."""
    first = next((block.text for block in blocks if block.kind == "heading"), "")
    return first or str(presentation.core_properties.title or "").strip()


def _is_hidden(slide: Slide) -> bool:
    return slide.element.get("show") in ("0", "false")


def _slide(slide: Slide, number: int, headings: HeadingStack) -> Iterator[Block]:
    title = slide.shapes.title
    named = " ".join(title.text_frame.text.split()) if title is not None else ""
    texts = [shape for shape in _shapes(slide.shapes) if title is None or shape.shape_id != title.shape_id]
    if named:
        yield headings.enter(1, named, number)
    else:
        headings.leave()
    for shape in texts:
        yield from _shape(shape, headings.path, number)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            yield Block(f"Notes: {notes}", "paragraph", headings.path, number)


def _shapes(shapes: Any) -> Iterator[Any]:
    """Yields the shapes of a slide, those in groups too, in the order that screen readers follow."""
    from pptx.enum.shapes import MSO_SHAPE_TYPE

    for shape in shapes:
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            yield from _shapes(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type.name in _FURNITURE):
            yield shape


def _shape(shape: Any, path: tuple[str, ...], page: int) -> Iterator[Block]:
    if shape.has_text_frame:
        for text, kind in _paragraphs(shape):
            yield Block(text, kind, path, page)
    elif getattr(shape, "has_table", False):
        cells = [
            ["" if cell.is_spanned else " ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows
        ]
        header = detect_header(cells)
        for row in cells[1:] if header else cells:
            yield Block(format_row(header, row), "row", path, page)
    elif getattr(shape, "has_chart", False):
        yield from (Block(text, "row", path, page) for text in _chart(shape.chart))


def _paragraphs(shape: Any) -> Iterator[tuple[str, BlockKind]]:
    """The body's paragraphs are list items; a text box's run on."""
    paragraphs = [paragraph for paragraph in shape.text_frame.paragraphs if paragraph.text.strip()]
    is_list = len(paragraphs) > 1 and shape.is_placeholder
    for paragraph in paragraphs:
        text = paragraph.text.replace("\v", "\n").strip()
        yield (f"- {text}", "list") if is_list else (text, "paragraph")


def _chart(chart: Any) -> Iterator[str]:
    """A line for every series: what a chart shows, in figures."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield chart.chart_title.text_frame.text
    for plot in chart.plots:
        categories = [str(category) for category in plot.categories]
        for series in plot.series:
            values = ["" if value is None else f"{value:.10g}" for value in series.values]
            yield f"{series.name}: " + format_row(categories, values)
