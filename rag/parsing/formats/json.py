"""JSON and JSON lines → blocks: readable lines `key: value`, the path of keys as headings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument, format_numbers
from rag.parsing.formats.text import decode_text

MAX_HEADINGS = 6  # levels of keys that become headings; what is deeper is in the lines' names
_TITLES = ("title", "name", "headline", "subject")


def read_json(data: bytes) -> ParsedDocument:
    """An object's own values are one record; what it holds comes below its key; each object of a list is a record.

    Raises:
        DocumentError: it is no JSON.
    """
    text = decode_text(data)
    try:
        value = _loaded(text)
    except ValueError as error:
        if getattr(error, "msg", "") == "Extra data":  # several values, one a line, under the wrong name
            return _lines(text)
        raise DocumentError(f"it is no JSON ({error}): check that it was saved completely") from error
    headings = HeadingStack()
    title = (
        next((value[key] for key in _TITLES if isinstance(value.get(key), str)), "") if isinstance(value, dict) else ""
    )
    return ParsedDocument(blocks=tuple(_blocks(value, headings)), title=title, media_type="application/json")


def read_jsonl(data: bytes) -> ParsedDocument:
    """Each line is a record; lines that are no JSON are noted."""
    return _lines(decode_text(data))


def _lines(text: str) -> ParsedDocument:
    blocks: list[Block] = []
    bad: list[int] = []
    is_beir = False
    for number, line in enumerate(text.split("\n"), 1):
        try:
            value = _loaded(line) if line.strip() else None
        except ValueError:
            bad.append(number)
            continue
        is_beir = is_beir or (not blocks and isinstance(value, dict) and {"_id", "text"} <= value.keys())
        record = "\n".join(_flat(value, ""))
        blocks += [Block(record, "record")] if record else []
    if not blocks and bad:
        raise DocumentError("none of its lines is JSON: JSON lines have one value a line")
    notes = [f"{format_numbers('line', bad)} no JSON, left out"] if bad else []
    if is_beir:
        notes.append("it looks like a BEIR corpus: --beir FOLDER makes each line a document and keeps its id")
    return ParsedDocument(blocks=tuple(blocks), media_type="application/jsonl", note="; ".join(notes))


def _loaded(text: str) -> Any:
    """Numbers stay as they are written: 1.50 is no 1.5 to somebody who searches."""
    return json.loads(text, parse_int=str, parse_float=str)


def _blocks(value: Any, headings: HeadingStack, level: int = 1) -> Iterator[Block]:
    """The blocks of one value below the headings that are open."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for item in value:
            yield from _record(_flat(item, ""), headings)
    elif isinstance(value, dict) and level <= MAX_HEADINGS:
        inside = {key: item for key, item in value.items() if _holds_more(item)}
        yield from _record(_flat({key: item for key, item in value.items() if key not in inside}, ""), headings)
        for key, item in inside.items():
            yield headings.enter(level, " ".join(key.split()) or "(no name)")
            yield from _blocks(item, headings, level + 1)
    else:
        yield from _record(_flat(value, ""), headings)


def _record(lines: Iterator[str], headings: HeadingStack) -> Iterator[Block]:
    text = "\n".join(lines)
    if text:
        yield Block(text, "record", headings.path)


def _holds_more(value: Any) -> bool:
    """True for what deserves a heading: objects with something in them, and lists of objects or lists."""
    return (isinstance(value, dict) and bool(value)) or (
        isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
    )


def _flat(value: Any, name: str) -> Iterator[str]:
    """A line for every value inside, named by its path; a list of plain values is one line.

    >>> list(_flat({"who": {"name": "Ada", "tags": ["a", "b"]}, "seen": [{"at": "x"}, {"at": "y"}]}, ""))
    ['who name: Ada', 'who tags: a, b', 'seen 1 at: x', 'seen 2 at: y']
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name} {key}".strip())
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value, 1):
            yield from _flat(item, f"{name} {number}".strip())
    else:
        text = ", ".join(filter(None, map(_plain, value))) if isinstance(value, list) else _plain(value)
        if text:
            yield f"{name}: {text}" if name else text


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value).strip()
