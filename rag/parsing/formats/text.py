"""Plain text and CSV → blocks, in whatever encoding they come."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, ParsedDocument, detect_header, format_row

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_IN_USE = [
    "cp1252",
    "cp1250",
    "cp1255",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1256",
    "cp1257",
    "koi8_r",
    "iso8859_2",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
]
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
_SNIFFED = 65_536  # characters of a CSV file that its delimiter is guessed from
_PARAGRAPH_END = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


def decode_text(data: bytes, declared: str | None = None) -> str:
    """The text of some bytes: by byte-order mark, as UTF-8, as *declared*, or by charset-normalizer's guess.

    Raises:
        DocumentError: the bytes are no text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if b"\0" in data:
        return _without_mark(data)
    if len(data[:_SNIFFED].translate(None, _CONTROLS)) < 0.95 * len(data[:_SNIFFED]):
        raise DocumentError("it is binary data, not text: give the original document, in a format that can be read")
    candidates = [declared or "iso2022_jp", "utf-8"] if b"\x1b$" in data else ["utf-8", declared]
    for candidate in candidates:
        try:
            return data.decode(candidate or "utf-8")
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode(_guess(data), "replace")


def _without_mark(data: bytes) -> str:
    """UTF-16 without its mark has a zero in every other byte of Latin text; anything else with zeros is no text."""
    sample = data[:_SNIFFED]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) > 0.2 * len(sample) and min(even, odd) < 0.02 * len(sample):
        return data.decode("utf-16-le" if odd > even else "utf-16-be", "replace")
    raise DocumentError("it is binary data, not text: give the original document, in a format that can be read")


def _guess(data: bytes) -> str:
    """The likeliest encoding among those in use.

    charset-normalizer alone reads French Latin-1 as Central European or Baltic: they look as clean, and it takes the
    first. So the most common gets a start of 0.06 in mess, and the language decides between equals. On nineteen
    languages that was right for all but Turkish and Hungarian, whose few letters of their own come out wrong.
    """
    from charset_normalizer import from_bytes

    matches = from_bytes(data[:1_000_000], cp_isolation=_IN_USE)
    ranked = sorted(matches, key=lambda m: (round(_mess(m), 2), -m.coherence, _IN_USE.index(m.encoding)))
    return ranked[0].encoding if ranked else "cp1252"


def _mess(match: CharsetMatch) -> float:
    return max(0.0, match.chaos - 0.06 * (match.encoding == "cp1252"))


def read_text(data: bytes) -> ParsedDocument:
    """Paragraphs are what blank lines separate; line breaks inside them stay."""
    return ParsedDocument(blocks=tuple(split_paragraphs(decode_text(data))))


def split_paragraphs(text: str) -> list[Block]:
    r"""A block for each stretch between blank lines.

    >>> [block.text for block in split_paragraphs("one\ntwo\n\n \nthree")]
    ['one\ntwo', 'three']
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    return [Block(part.strip("\n")) for part in _PARAGRAPH_END.split(text) if part.strip()]


def read_csv(data: bytes) -> ParsedDocument:
    """Each row is a block with a line `column: value` for every cell that isn't empty."""
    csv.field_size_limit(2**31 - 1)  # the default refuses cells over 128 KiB; the child's memory limit holds anyway
    text = decode_text(data)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    header = detect_header(filled)
    blocks = [Block(format_row(header, row, "\n"), "record") for row in (filled[1:] if header else filled)]
    return ParsedDocument(blocks=tuple(blocks), media_type="text/csv")


def _delimiter(text: str) -> str:
    """The delimiter that gives the most rows one same number of columns; csv.Sniffer trips over quoted line ends."""
    sample = text[:_SNIFFED]

    def evenness(delimiter: str) -> tuple[float, int]:
        rows = [len(row) for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row]
        if len(sample) < len(text):
            rows = rows[:-1]  # cut in the middle
        n_columns, n_rows = Counter(rows).most_common(1)[0] if rows else (1, 0)
        return (n_rows / len(rows), n_columns) if n_columns > 1 else (0.0, 1)

    return max(",;\t|", key=evenness)
