"""Blocks → the text that is stored, and its passages: exact offsets, and ids that survive edits elsewhere."""

from __future__ import annotations

import re
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.parsing.formats.blocks import Block, ParsedDocument
from rag.records import (
    HEADING_SEPARATOR,
    MAX_HEADING_LENGTH,
    Document,
    Passage,
    encoded_text,
    heading_length,
    sha256_of,
)
from rag.splitting.token_offsets import WORD_PATTERN, TokenStarts, word_starts

_SENTENCE_END = re.compile(
    r"(?<=[.!?…])[\"'”’»)\]]*\s+(?![a-z\s])|(?<=[。！？])[」』”）]*(?![。！？」』”）])|\n\s*\n", re.UNICODE
)
_LINE_END = re.compile(r"\n")
_ABBREVIATED = re.compile(r"\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|cf|Fig|Eq|e\.g|i\.e|z\.B|d\.h|bzw|ca)\.$")
_ON_ONE_LINE = ("list", "row")  # with their neighbours of the same kind, without a blank line between

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SplittingRules:
    """How documents are cut."""

    max_tokens: int
    """A passage's text has at most as many."""
    encoder_tokens: int | None = None
    """What the encoder reads of title, headings and text together; None if there is no such bound."""
    starts: TokenStarts = word_starts

    def room(self, head: str) -> int:
        """How many tokens the text below a *head* may have: what it leaves of the encoder's, and half of them at least."""
        if self.encoder_tokens is None:
            return self.max_tokens
        left = self.encoder_tokens - len(self.starts([head])[0])
        return min(self.max_tokens, max(left, self.encoder_tokens // 2, 1))


@dataclass(frozen=True, slots=True)
class _Unit:
    """A stretch that is not divided further: a small block, a sentence, a line, or a word."""

    start: int
    end: int
    n_tokens: int


@dataclass(frozen=True, slots=True)
class _Counted:
    """A stored text, and where its tokens begin."""

    text: str
    starts: array[int]

    def unit(self, start: int, end: int) -> _Unit:
        return _Unit(start, end, bisect_left(self.starts, end) - bisect_left(self.starts, start))


def split_document(
    source: str, stem: str, parsed: ParsedDocument, splitting: SplittingRules
) -> tuple[Document, list[Passage]]:
    """The document to be stored for a file, and its passages.

    The title is the file's own, else *stem*; of one of more than 120 characters the beginning, for every passage is
    encoded with it. Passages end at headings and pages; they fill up with whole paragraphs, list items and rows, then
    sentences, then lines, then words, then tokens. Text that repeats below the same headings is one passage, if it
    is first.
    """
    named = parsed.title or stem
    title = _shortened(named)
    text, placed = _stored(parsed.blocks)
    document = Document(
        document_id=make_document_id(source),
        source=source,
        title=title,
        media_type=parsed.media_type,
        sha256=parsed.sha256,
        text=text,
    )
    found: dict[str, Passage] = {}
    for heading, page, start, end in _spans(text, placed, named, splitting):
        passage_id = make_passage_id(document.document_id, heading, text[start:end])
        if passage_id not in found:
            found[passage_id] = Passage(
                passage_id=passage_id,
                document_id=document.document_id,
                source=source,
                title=title,
                heading=heading,
                text=text[start:end],
                start=start,
                end=end,
                page=page,
            )
    return document, list(found.values())


def _shortened(title: str) -> str:
    """
    >>> _shortened("Figure S1: " + "x" * 120)
    'Figure S1: …'
    """
    if heading_length(title) <= MAX_HEADING_LENGTH:
        return title
    beginning = title[: MAX_HEADING_LENGTH * len(title) // heading_length(title)]
    return beginning.rsplit(" ", 1)[0] + " …"


def make_document_id(source: str) -> str:
    """16 hex digits that follow from the source alone.

    >>> make_document_id("notes/a.md")
    'b33a8099b0121956'
    """
    return sha256_of(source)[:16]


def make_passage_id(document_id: str, heading: str, text: str) -> str:
    """16 hex digits that follow from document, headings and text: neither place nor order, so that edits elsewhere
    leave it alone.

    >>> make_passage_id("b33a8099b0121956", "Start", "Press the button.")
    '788f37d942a399f9'
    """
    return sha256_of("\0".join((document_id, heading, text)))[:16]


# ---- the stored text


def _stored(blocks: Sequence[Block]) -> tuple[str, list[tuple[Block, Span]]]:
    """The blocks' texts, one below the other, and where each of them is."""
    parts: list[str] = []
    placed: list[tuple[Block, Span]] = []
    position = 0
    for before, block in zip([None, *blocks], blocks, strict=False):
        together = before is not None and before.kind == block.kind and block.kind in _ON_ONE_LINE
        gap = "" if before is None else "\n" if together else "\n\n"
        start = position + len(gap)
        position = start + len(block.text)
        parts += [gap, block.text]
        placed.append((block, (start, position)))
    return "".join(parts), placed


def _sections(placed: list[tuple[Block, Span]]) -> Iterator[tuple[tuple[str, ...], int | None, list[Span]]]:
    """(headings, page, places of the blocks) of the text between two headings or pages.

    Headings are in every passage's `heading`. One with nothing below it would be lost that way, and of a long one most
    is not encoded: these are text.
    """
    n_headings = 0
    keyed = []
    for (block, span), following in zip(placed, [*placed[1:], None], strict=False):
        below = (*block.headings, block.text)
        is_bare = following is None or following[0].headings[: len(below)] != below
        n_headings += block.kind == "heading"
        if block.kind != "heading" or is_bare or heading_length(block.text) > MAX_HEADING_LENGTH:
            keyed.append(((block.headings, block.page, n_headings * (block.kind != "heading")), span))
    for (path, page, _), members in groupby(keyed, key=lambda member: member[0]):
        yield path, page, [span for _, span in members]


# ---- sections to passages


def _spans(
    text: str, placed: list[tuple[Block, Span]], named: str, splitting: SplittingRules
) -> Iterator[tuple[str, int | None, int, int]]:
    """(headings, page, start, end) of every passage of a document *named* so, which no heading repeats."""
    counted = _Counted(text, _starts(placed, splitting))
    for path, page, spans in _sections(placed):
        heading = HEADING_SEPARATOR.join(path[1:] if path[:1] == (named,) else path)
        most = splitting.room(encoded_text(_shortened(named), heading, ""))
        waiting: list[_Unit] = []
        for start, end in spans:
            unit = counted.unit(start, end)
            if unit.n_tokens <= most:
                waiting.append(unit)
                continue
            yield from ((heading, page, *span) for span in _packed(text, waiting, most))
            waiting = []
            units = list(_divided(counted, start, end, most, _FINER))
            yield from ((heading, page, *span) for span in _packed(text, units, most))
        yield from ((heading, page, *span) for span in _packed(text, waiting, most))


def _starts(placed: list[tuple[Block, Span]], splitting: SplittingRules) -> array[int]:
    """Where the tokens of the stored text begin; all blocks are counted at once."""
    found: array[int] = array("l")
    starts = splitting.starts([block.text for block, _ in placed])
    for (_, (offset, _)), cuts in zip(placed, starts, strict=True):
        found.extend(offset + start for start in cuts)
    return found


def _packed(text: str, units: list[_Unit], most: int) -> Iterator[Span]:
    """Units, put together up to *most* tokens.

    From a third of its size on, a passage may also end after a unit whose own text says so. Without such places an
    insertion would move every later border in a run of equal rows, and with it every later id.
    """
    packs: list[list[_Unit]] = []
    n_packed = most + 1  # the first unit opens a pack
    for unit in units:
        is_full = n_packed + unit.n_tokens > most
        if is_full or (3 * n_packed >= most and _ends_pack(text, packs[-1][-1], most)):
            packs.append([])
            n_packed = 0
        packs[-1].append(unit)
        n_packed += unit.n_tokens
    _even_out(packs, most)
    yield from ((pack[0].start, pack[-1].end) for pack in packs)


def _ends_pack(text: str, unit: _Unit, most: int) -> bool:
    """True for about one unit in four, or fewer if units are small: two passages in five end early by it."""
    one_in = max(4, 4 * most // (3 * max(1, unit.n_tokens)))
    return zlib.crc32(text[unit.start : unit.end].encode("utf-8", "replace")) % one_in == 0


def _even_out(packs: list[list[_Unit]], most: int) -> None:
    """The last pack may be a few tokens; it gets units from the one before until it is a third of a passage."""
    while len(packs) > 1 and len(packs[-2]) > 1 and 3 * sum(unit.n_tokens for unit in packs[-1]) < most:
        if sum(unit.n_tokens for unit in packs[-1]) + packs[-2][-1].n_tokens > most:
            return
        packs[-1].insert(0, packs[-2].pop())


def _divided(counted: _Counted, start: int, end: int, most: int, finer: Sequence[_Divide]) -> Iterator[_Unit]:
    """A stretch that is too long, by the coarsest division that makes its parts short enough."""
    for part_start, part_end in finer[0](counted, start, end):
        unit = counted.unit(part_start, part_end)
        if unit.n_tokens <= most or not finer[1:]:
            yield unit
        else:
            yield from _divided(counted, part_start, part_end, most, finer[1:])


_Divide = Callable[[_Counted, int, int], Iterator[Span]]


def _sentences(counted: _Counted, start: int, end: int) -> Iterator[Span]:
    text = counted.text
    stops = [stop for stop in _SENTENCE_END.finditer(text, start, end) if not _is_abbreviated(text, start, stop)]
    return _between(text, start, end, ((stop.start() + len(stop.group().rstrip()), stop.end()) for stop in stops))


def _is_abbreviated(text: str, start: int, stop: re.Match[str]) -> bool:
    return _ABBREVIATED.search(text, max(start, stop.start() - 8), stop.start()) is not None


def _lines(counted: _Counted, start: int, end: int) -> Iterator[Span]:
    return _between(counted.text, start, end, (stop.span() for stop in _LINE_END.finditer(counted.text, start, end)))


def _words(counted: _Counted, start: int, end: int) -> Iterator[Span]:
    return (word.span() for word in WORD_PATTERN.finditer(counted.text, start, end))


def _tokens(counted: _Counted, start: int, end: int) -> Iterator[Span]:
    inside = slice(bisect_left(counted.starts, start + 1), bisect_left(counted.starts, end))
    return _between(counted.text, start, end, ((offset, offset) for offset in counted.starts[inside]))


# From the coarsest on.
_FINER: tuple[_Divide, ...] = (_sentences, _lines, _words, _tokens)


def _between(text: str, start: int, end: int, gaps: Iterator[Span]) -> Iterator[Span]:
    """What lies between the gaps, without the white space around it."""
    for gap_start, gap_end in [*gaps, (end, end)]:
        part = text[start:gap_start]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())
        start = gap_end
