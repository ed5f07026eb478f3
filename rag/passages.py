"""Blocks → the text that is stored, and its passages: exact offsets, and ids that survive edits elsewhere."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.blocks import Block, Parsed
from rag.records import Document, Passage, sha256_of

# A word is what stands between blanks; a letter of a script without blanks; or 24 letters of anything longer, so that
# neither Chinese, Thai nor a kilobyte of base64 counts as one.
_NO_BLANKS = "\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_NO_BLANKS}]|[^\s{_NO_BLANKS}]{{1,24}}")
_SENTENCE_END = re.compile(
    r"(?<=[.!?…])[\"'”’»)\]]*\s+(?![a-z\s])|(?<=[。！？])[」』”）]*(?![。！？」』”）])|\n\s*\n", re.UNICODE
)
_LINE_END = re.compile(r"\n")
_ABBREVIATED = re.compile(r"\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|cf|Fig|Eq|e\.g|i\.e|z\.B|d\.h|bzw|ca)\.$")
_ON_ONE_LINE = ("list", "row")  # with their neighbours of the same kind, without a blank line between
LEVEL_MARK = " › "

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not divided any more: a small block, a sentence, a line, or a word."""

    start: int
    end: int
    n_words: int


def document_of(source: str, stem: str, parsed: Parsed, max_words: int) -> tuple[Document, list[Passage]]:
    """The document to be stored for a file, and its passages of at most *max_words* words.

    The title is the file's own, else *stem*. Passages end at headings and pages; they fill up with whole paragraphs,
    list items and rows, then sentences, then lines, then words. Text that repeats below the same headings is one
    passage, where it stands first.
    """
    title = parsed.title or stem
    text, placed = _stored(parsed.blocks)
    document = Document(document_id_of(source), source, title, parsed.media_type, parsed.sha256, text)
    found: dict[str, Passage] = {}
    for path, page, start, end in _spans(text, placed, max_words):
        heading = LEVEL_MARK.join(path[1:] if path[:1] == (title,) else path)
        passage_id = passage_id_of(document.document_id, heading, text[start:end])
        if passage_id not in found:
            found[passage_id] = Passage(passage_id, document.document_id, source, title, heading, text[start:end],
                                        start, end, page)  # fmt: skip
    return document, list(found.values())


def document_id_of(source: str) -> str:
    """16 hex digits that follow from the source alone.

    >>> document_id_of("notes/a.md")
    'b33a8099b0121956'
    """
    return sha256_of(source)[:16]


def passage_id_of(document_id: str, heading: str, text: str) -> str:
    """16 hex digits that follow from document, headings and text: neither place nor order, so that edits elsewhere
    leave it alone.

    >>> passage_id_of("b33a8099b0121956", "Start", "Press the button.")
    '788f37d942a399f9'
    """
    return sha256_of("\0".join((document_id, heading, text)))[:16]


def n_words(text: str) -> int:
    """How many words a text has for our purpose: about as many as the encoder's tokens, less a quarter.

    >>> n_words("two words"), n_words("再構築"), n_words("x" * 49)
    (2, 3, 3)
    """
    return len(_WORD.findall(text))


# ---- the stored text


def _stored(blocks: Sequence[Block]) -> tuple[str, list[tuple[Block, Span]]]:
    """The blocks' texts, one below the other, and where each of them stands."""
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

    Headings are in every passage's `heading`. One with nothing below it would be lost that way: it is text.
    """
    n_headings = 0
    keyed = []
    for (block, span), following in zip(placed, [*placed[1:], None], strict=False):
        below = (*block.headings, block.text)
        is_bare = following is None or following[0].headings[: len(below)] != below
        n_headings += block.kind == "heading"
        if block.kind != "heading" or is_bare:
            keyed.append(((block.headings, block.page, n_headings * (block.kind != "heading")), span))
    for (path, page, _), members in groupby(keyed, key=lambda member: member[0]):
        yield path, page, [span for _, span in members]


# ---- sections to passages


def _spans(
    text: str, placed: list[tuple[Block, Span]], max_words: int
) -> Iterator[tuple[tuple[str, ...], int | None, int, int]]:
    for path, page, spans in _sections(placed):
        waiting: list[_Unit] = []
        for start, end in spans:
            unit = _Unit(start, end, n_words(text[start:end]))
            if unit.n_words <= max_words:
                waiting.append(unit)
                continue
            yield from ((path, page, *span) for span in _packed(text, waiting, max_words))
            waiting = []
            units = list(_divided(text, start, end, max_words, _FINER))
            yield from ((path, page, *span) for span in _packed(text, units, max_words))
        yield from ((path, page, *span) for span in _packed(text, waiting, max_words))


def _packed(text: str, units: list[_Unit], max_words: int) -> Iterator[Span]:
    """Units, put together up to *max_words*.

    From a third of its size on, a passage may also end after a unit whose own text says so. Without such places an
    insertion would move every later border in a run of equal rows, and with it every later id.
    """
    packs: list[list[_Unit]] = []
    n_packed = max_words + 1  # the first unit opens a pack
    for unit in units:
        is_full = n_packed + unit.n_words > max_words
        if is_full or (3 * n_packed >= max_words and _ends_pack(text, packs[-1][-1], max_words)):
            packs.append([])
            n_packed = 0
        packs[-1].append(unit)
        n_packed += unit.n_words
    _even_out(packs, max_words)
    yield from ((pack[0].start, pack[-1].end) for pack in packs)


def _ends_pack(text: str, unit: _Unit, max_words: int) -> bool:
    """True for about one unit in four, or fewer where units are small: two passages in five end early by it."""
    one_in = max(4, 4 * max_words // (3 * max(1, unit.n_words)))
    return zlib.crc32(text[unit.start : unit.end].encode("utf-8", "replace")) % one_in == 0


def _even_out(packs: list[list[_Unit]], max_words: int) -> None:
    """The last pack may be a few words; it gets units from the one before until it is a third of a passage."""
    while len(packs) > 1 and len(packs[-2]) > 1 and 3 * sum(unit.n_words for unit in packs[-1]) < max_words:
        if sum(unit.n_words for unit in packs[-1]) + packs[-2][-1].n_words > max_words:
            return
        packs[-1].insert(0, packs[-2].pop())


def _divided(text: str, start: int, end: int, max_words: int, finer: Sequence[_Divide]) -> Iterator[_Unit]:
    """A stretch that is too long, by the coarsest division that makes its parts short enough."""
    for part_start, part_end in finer[0](text, start, end):
        unit = _Unit(part_start, part_end, n_words(text[part_start:part_end]))
        if unit.n_words <= max_words:
            yield unit
        else:
            yield from _divided(text, part_start, part_end, max_words, finer[1:])


_Divide = Callable[[str, int, int], Iterator[Span]]


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    stops = [stop for stop in _SENTENCE_END.finditer(text, start, end) if not _is_abbreviated(text, start, stop)]
    return _between(text, start, end, ((stop.start() + len(stop.group().rstrip()), stop.end()) for stop in stops))


def _is_abbreviated(text: str, start: int, stop: re.Match[str]) -> bool:
    return _ABBREVIATED.search(text, max(start, stop.start() - 8), stop.start()) is not None


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    return _between(text, start, end, (stop.span() for stop in _LINE_END.finditer(text, start, end)))


def _words(text: str, start: int, end: int) -> Iterator[Span]:
    return (word.span() for word in _WORD.finditer(text, start, end))


# From the coarsest on.
_FINER: tuple[_Divide, ...] = (_sentences, _lines, _words)


def _between(text: str, start: int, end: int, gaps: Iterator[Span]) -> Iterator[Span]:
    """What lies between the gaps, without the white space around it."""
    for gap_start, gap_end in [*gaps, (end, end)]:
        part = text[start:gap_start]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())
        start = gap_end
