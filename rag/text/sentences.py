"""A passage → the stretches that can be quoted, with offsets: sentences, list items, and whole short lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LIST_LENGTH = (
    600  # characters; a longer list is quoted item by item, so that the item that answers is what is shown
)
MAX_SENTENCE_LENGTH = 700  # characters; beyond this it is a table or code, and is cut between two words

_BULLET = re.compile(r"(?:[-*+•‣▪◦–]|\(?\d{1,2}[.)]|\(?[a-z][.)])[ \t]+", re.IGNORECASE)
_SYMBOL = re.compile(r"[-*+•‣▪◦–][ \t]+")
_DEFINITION = re.compile(r"\*?\[[^\]\n]{1,60}\]:")  # of an abbreviation or a link, in markdown
_ROW = re.compile(
    r"[^:;\n]+: [^;\n]*; [^:;\n]+: "
)  # of a table, as our readers write it: "Ticket: Season; Adults: €140"
_MARKDOWN_HEADING = re.compile(r"#{1,6} ")
_CLOSING = "\"'”’»)]*_`"
_SENTENCE_END = re.compile(rf"(?:[.!?…]+[{re.escape(_CLOSING)}]*(?=\s)|[。！？]+[」』”）]*)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|dr|mr|mrs|ms|prof|st|no|nos|vs|etc|cf|fig|figs|eq|vol|pp|ca|approx|inc|ltd|co|jr|sr|al|gen|rev|hon"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|e\.g|i\.e|z\.b|d\.h|bzw|u\.s|u\.k|u\.n|a\.m|p\.m|b\.c|a\.d|ph\.d))\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A stretch that can be quoted, and what is above it."""

    start: int
    """The position in the text that was split, in characters."""
    end: int
    text: str
    """Exactly `text[start:end]`."""
    context: str = ""
    """The nearest heading, lead-in or question above the sentence: evidence for it, never quoted with it."""

    @property
    def is_question(self) -> bool:
        """True if the sentence is a question.

        >>> Sentence(0, 4, "Why?").is_question
        True
        """
        return self.text.rstrip(_CLOSING).endswith(("?", "？"))


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together: a paragraph, a heading, a list with its lead-in, or one item of a long list."""

    start: int
    end: int
    kind: str  # paragraph, heading, list or item
    lead_in: str = ""


def split_sentences(text: str) -> list[Sentence]:
    """Returns the quotable stretches of a passage, in reading order; they don't overlap.

    Lines that were wrapped are read as one; headings are not quotable, and become the context of what follows,
    as a question does. A list stays with its lead-in while it is short.

    >>> [(s.text, s.context) for s in split_sentences("Can I go out?\\nYes. Take:\\n- a mask\\n- a map")]
    [('Can I go out?', ''), ('Yes.', 'Can I go out?'), ('Take:\\n- a mask\\n- a map', 'Can I go out?')]
    """
    found: list[Sentence] = []
    heading = ""
    for block in _blocks(text):
        if block.kind == "heading":
            heading = text[block.start : block.end].lstrip("# ")
            continue
        for start, end in _quotable(text, block):
            if _DEFINITION.match(text, start) or not any(map(str.isalnum, text[start:end])):
                continue  # a rule, a code fence
            context = " ".join(part for part in (heading, block.lead_in) if part)
            sentence = Sentence(start, end, text[start:end], context)
            found.append(sentence)
            heading = sentence.text if sentence.is_question else heading
    return found


def format_quote(quote: str) -> str:
    """Formats a quote for reading: joins wrapped lines, and puts each list item or table row on its own line.

    >>> format_quote("Ticket: Once; Adults: €6\\nTicket: Ten times; Adults: €55")
    '- Ticket: Once; Adults: €6\\n- Ticket: Ten times; Adults: €55'
    >>> format_quote("You must\\ntake:\\n\\n* a mask of good thick\\nblue cloth\\n* a map")
    'You must take:\\n- a mask of good thick blue cloth\\n- a map'
    """
    rows = [line for line in quote.splitlines() if line.strip()]
    if all(map(_ROW.match, rows)):
        return "\n".join(f"- {' '.join(row.split())}" for row in rows)
    lead_in, colon, items = quote.partition(":\n")
    if not colon:
        return " ".join(quote.split())
    lines = [
        " ".join(items[start:end].split()) for start, end in _joined_lines(items, below_lead_in=True) if end > start
    ]
    return "\n".join([" ".join(lead_in.split()) + ":", *(f"- {_SYMBOL.sub('', line)}" for line in lines)])


# ---- lines


def _lines(text: str) -> list[tuple[int, int]]:
    """(start, end) of every line without the white space around it; empty lines have start == end."""
    spans, position = [], 0
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        start = position + (len(line) - len(line.lstrip())) if stripped else position
        spans.append((start, start + len(stripped)))
        position += len(line)
    return spans


def _joined_lines(text: str, *, below_lead_in: bool = False) -> list[tuple[int, int]]:
    """(start, end) of every line, those that a line break only wrapped joined to one."""
    spans = _lines(text)
    in_list = _list_lines(text, spans, below_lead_in)
    wrapped = [text[end - 1 : end] for _, end in spans]  # the last character; empty for empty lines
    sure = [
        not in_list[i + 1]
        and spans[i][1] - spans[i][0] >= 20
        and wrapped[i] != ":"
        and text[spans[i + 1][0] : spans[i + 1][0] + 1].islower()
        for i in range(len(spans) - 1)
    ]
    width = max((end - start for (start, end), goes_on in zip(spans, sure, strict=False) if goes_on), default=0)
    joined = spans[:1]
    for i, (start, end) in enumerate(spans[1:]):
        was_full = _is_full(text, spans[i], (start, end), width)
        if joined[-1][1] > joined[-1][0] and end > start and (sure[i] or (was_full and not in_list[i + 1])):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _is_full(text: str, line: tuple[int, int], following: tuple[int, int], width: int) -> bool:
    """True if the following line's first word would not have fitted on the line."""
    words = text[following[0] : following[1]].split(maxsplit=1)
    if not words or _BULLET.match(text, following[0]) or text[line[1] - 1 : line[1]] in (".", ":", "?", "!"):
        return False
    return line[1] - line[0] + 1 + len(words[0]) > width > line[1] - line[0] - 20 if width else False


def _list_lines(text: str, spans: list[tuple[int, int]], below_lead_in: bool) -> list[bool]:
    """For each line whether a list's item begins there: it has a bullet, or is in a list that has none.

    Such a list begins right below a lead-in, *below_lead_in* for the first line, and ends at an empty line.
    """
    bare_list, at_start, flags = below_lead_in, below_lead_in, []
    for start, end in spans:
        if end == start:
            bare_list = bare_list and at_start
            flags.append(False)
            continue
        bullet = _BULLET.match(text, start) is not None
        bare_list = bare_list and not (at_start and bullet)
        flags.append(bullet or bare_list)
        at_start = text[end - 1] == ":"
        bare_list = bare_list or at_start
    return flags


# ---- blocks


def _blocks(text: str) -> Iterator[_Block]:
    spans = _joined_lines(text)
    in_list = _list_lines(text, spans, below_lead_in=False)
    full = [i for i, (start, end) in enumerate(spans) if end > start]
    position = 0
    while position < len(full):
        start, end = spans[full[position]]
        n_items = _n_items(text, spans, in_list, full, position)
        if n_items and spans[full[position + n_items]][1] - start <= MAX_LIST_LENGTH:
            yield _Block(start, spans[full[position + n_items]][1], "list")
        elif n_items:
            lead_in = text[start:end]
            items = (spans[i] for i in full[position + 1 : position + n_items + 1])
            yield from (_Block(*item, "item", lead_in) for item in items)
        else:
            following = spans[full[position + 1]] if position + 1 < len(full) else None
            yield _Block(start, end, "heading" if _is_heading(text, (start, end), following) else "paragraph")
        position += n_items + 1


def _n_items(text: str, spans: list[tuple[int, int]], in_list: list[bool], full: list[int], position: int) -> int:
    """Counts the list items that follow a lead-in; 0 if the line is not a lead-in."""
    if text[spans[full[position]][1] - 1] != ":":
        return 0
    n_items = 0
    for i in full[position + 1 :]:
        if not in_list[i] or text[spans[i][1] - 1] == ":":
            break
        n_items += 1
    return n_items


def _is_heading(text: str, line: tuple[int, int], following: tuple[int, int] | None) -> bool:
    """True for a short line without a full stop above a line that has one; rows of a table are no headings."""
    if _MARKDOWN_HEADING.match(text, line[0]):
        return True
    if following is None or line[1] - line[0] > 80 or text[line[1] - 1] in ".!?:;,…。！？" + _CLOSING:
        return False
    if _BULLET.match(text, line[0]) or _ROW.match(text, line[0], line[1]):
        return False
    return text[following[1] - 1] in ".!?:…。！？"


# ---- sentences


def _quotable(text: str, block: _Block) -> Iterator[tuple[int, int]]:
    if block.kind == "list":
        lead_in = _split(text, block.start, text.index("\n", block.start, block.end))
        yield from lead_in[:-1]
        yield lead_in[-1][0], block.end
        return
    bullet = _BULLET.match(text, block.start, block.end)
    for start, end in _split(text, bullet.end() if bullet else block.start, block.end):
        yield from _cut(text, start, end)


def _split(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Splits one paragraph at full stops that end no abbreviation."""
    spans = []
    for stop in _SENTENCE_END.finditer(text, start, end):
        if stop.end() < end and not _ends_here(text, start, stop, end):
            continue
        spans.append((start, stop.end()))
        start = stop.end()
        while start < end and text[start].isspace():
            start += 1
    return [*spans, (start, end)] if start < end else spans


def _ends_here(text: str, start: int, stop: re.Match[str], end: int) -> bool:
    following = text[stop.end() : end].lstrip()[:1]
    if following.islower():
        return False
    return stop.group()[:1] != "." or not _ABBREVIATION.search(text, start, stop.start() + 1)


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields the stretch in pieces of at most `MAX_SENTENCE_LENGTH` characters."""
    while end - start > MAX_SENTENCE_LENGTH:
        space = max(
            text.rfind(" ", start, start + MAX_SENTENCE_LENGTH), text.rfind("\n", start, start + MAX_SENTENCE_LENGTH)
        )
        middle = space if space > start else start + MAX_SENTENCE_LENGTH
        yield start, middle
        start = middle
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end
