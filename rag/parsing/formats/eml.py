"""E-mails (.eml) → blocks, by the standard library: subject, people and date, body, and what is attached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import PurePath

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument
from rag.parsing.formats.html import parse_html_blocks
from rag.parsing.formats.text import decode_text, split_paragraphs

Read = Callable[[bytes, str], ParsedDocument]
"""Reads an attachment by its bytes and the ending of its name."""

_SHOWN = ("From", "To", "Cc", "Date")
MAX_ATTACHMENTS = 100
MAX_DEPTH = 3  # of e-mails inside e-mails


def read_eml(data: bytes, read: Read, depth: int = 0) -> ParsedDocument:
    """The text body, else the HTML one; attachments that *read* can read are sections below their names.

    Raises:
        DocumentError: it is no e-mail.
    """
    message = message_from_bytes(data, EmailMessage, policy=policy.default)
    headings = HeadingStack()
    subject = " ".join(_header(message, "Subject").split())
    people = [f"{name}: {_header(message, name)}" for name in _SHOWN if _header(message, name)]
    if not subject and not people:
        raise DocumentError("it is no e-mail: it has neither subject, sender nor date; is it wrongly named?")
    blocks = [headings.enter(1, subject)] if subject else []
    blocks += [Block("\n".join(people), "paragraph", headings.path)] if people else []
    blocks += _body(message, headings)
    attached, notes = _attached(message, headings.path, read, depth)
    return ParsedDocument(
        blocks=(*blocks, *attached), title=subject, media_type="message/rfc822", note="; ".join(notes)
    )


def _header(message: EmailMessage, name: str) -> str:
    """The header as people read it; '' where it is absent or so broken that the library can't read it."""
    try:
        return str(message.get(name, "")).strip()
    except (ValueError, IndexError, AttributeError, TypeError):  # email's parser of addresses has holes
        return ""


def _body(message: EmailMessage, headings: HeadingStack) -> list[Block]:
    """The first that has text, of the plain and the HTML body."""
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        text = _text(body) if isinstance(body, EmailMessage) else ""
        blocks = _page(text, headings) if kind == "html" else _paragraphs(text, headings)
        if blocks:
            return blocks
    return []


def _page(text: str, headings: HeadingStack) -> list[Block]:
    """A page's headings are below the subject."""
    top = headings.path
    return [replace(block, headings=(*top, *block.headings)) for block in parse_html_blocks(text, HeadingStack())[0]]


def _paragraphs(text: str, headings: HeadingStack) -> list[Block]:
    return [replace(block, headings=headings.path) for block in split_paragraphs(text)]


def _text(part: EmailMessage) -> str:
    """By the declared encoding if it fits the bytes, else as any text."""
    content = part.get_payload(decode=True)
    return decode_text(content, part.get_content_charset()) if isinstance(content, bytes) and content else ""


# ---- what is attached


def _attached(message: EmailMessage, path: tuple[str, ...], read: Read, depth: int) -> tuple[list[Block], list[str]]:
    """(blocks, notes): the names of all attachments, then the text of each that can be read."""
    parts = [(_name(part, number), part) for number, part in enumerate(_parts(message), 1)]
    if not parts:
        return [], []
    blocks = [Block(f"Attachments: {', '.join(name for name, _ in parts)}", "paragraph", path)]
    notes = []
    for name, part in parts[:MAX_ATTACHMENTS]:
        try:
            parsed = _read(name, part, read, depth)
        except DocumentError as refused:
            notes.append(f"attachment {name!r} left out: {refused}")
            continue
        blocks.append(Block(name, "heading", path))
        blocks += [replace(block, headings=(*path, name, *block.headings)) for block in parsed.blocks]
        notes += [f"attachment {name!r}: {parsed.note}"] if parsed.note else []
    if len(parts) > MAX_ATTACHMENTS:
        notes.append(f"{len(parts) - MAX_ATTACHMENTS} more attachments left out: only {MAX_ATTACHMENTS} are read")
    return blocks, notes


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    """Attachments, and what hangs on the HTML body; pictures inside the text have no name that says anything."""
    try:
        found = list(message.iter_attachments())
    except (TypeError, AttributeError, KeyError):  # neither multipart nor text, or multipart in name only
        return
    yield from (part for part in found if isinstance(part, EmailMessage))


def _name(part: EmailMessage, number: int) -> str:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        return (
            _header(inner, "Subject") or f"e-mail {number}" if isinstance(inner, EmailMessage) else f"e-mail {number}"
        )
    try:
        named = part.get_filename()
    except (ValueError, TypeError, AttributeError):
        named = None
    return " ".join(named.split()) if named else f"part {number} ({part.get_content_type()})"


_SUFFIXES = {"text/plain": ".txt", "text/html": ".html", "text/csv": ".csv", "application/pdf": ".pdf"}


def _read(name: str, part: EmailMessage, read: Read, depth: int) -> ParsedDocument:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        if depth + 1 > MAX_DEPTH:
            raise DocumentError(f"e-mails inside e-mails are read to {MAX_DEPTH} levels: save it as a file of its own")
        return read_eml(bytes(inner), read, depth + 1) if isinstance(inner, EmailMessage) else ParsedDocument(blocks=())
    content = part.get_payload(decode=True)
    suffix = PurePath(name).suffix.lower() or _SUFFIXES.get(part.get_content_type(), "")
    if suffix == ".eml":
        return read_eml(content if isinstance(content, bytes) else b"", read, depth + 1)
    return read(content if isinstance(content, bytes) else b"", suffix)
