"""Rich text (.rtf) → blocks, by striprtf: its paragraphs; what is a heading, RTF seldom says."""

from __future__ import annotations

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, ParsedDocument, format_row


def read_rtf(data: bytes) -> ParsedDocument:
    """Each line of the text is a paragraph; a table's cells, which striprtf parts by |, are a row.

    Raises:
        DocumentError: striprtf can't read it.
    """
    from striprtf.striprtf import rtf_to_text

    try:
        text = rtf_to_text(data.decode("latin-1"), errors="replace")
    except (ValueError, IndexError, KeyError, LookupError) as error:
        raise DocumentError(f"the rich text is damaged ({error}): save it again, or as .docx") from error
    return ParsedDocument(
        blocks=tuple(_block(line.strip()) for line in text.split("\n") if line.strip("| \t")), media_type="text/rtf"
    )


def _block(line: str) -> Block:
    cells = line.split("|")
    is_row = line.endswith("|") and len(cells) > 2
    return Block(format_row([], cells), "row") if is_row else Block(line.rstrip("|"))
