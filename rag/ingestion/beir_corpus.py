"""A BEIR folder's corpus.jsonl → one document and one passage for each line, ids kept.

The layout is that of Thakur et al., BEIR, 2021: {"_id", "title", "text"} a line; other keys are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rag.errors import NotFoundError
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import Document, Passage, sha256_of
from rag.splitting.splitter import make_document_id, make_passage_id

MAX_LINE_BYTES = 16 * 1024**2  # bytes; a longer line is no passage


@dataclass(frozen=True, slots=True)
class BeirEntry:
    """One line that is a passage."""

    external_id: str
    title: str
    text: str

    @property
    def sha256(self) -> str:
        """The hash of what is stored of the line; other keys may change without effect."""
        return sha256_of(json.dumps([self.title, self.text]))


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """One line that is none, and why."""

    number: int
    """1-based."""
    reason: str


def corpus_path(folder: Path) -> Path:
    """The folder's corpus.jsonl.

    Raises:
        NotFoundError: there is none.
    """
    corpus = folder / "corpus.jsonl"
    if not corpus.is_file():
        raise NotFoundError(
            f"no corpus.jsonl in {str(folder)!r}: a BEIR folder holds corpus.jsonl, queries.jsonl and "
            "qrels/; for other documents give the path without --beir"
        )
    return corpus


def read_corpus(corpus: Path) -> Iterator[BeirEntry | RefusedLine]:
    """The lines in order, one at a time; blank ones are passed over."""
    seen: dict[str, int] = {}
    with corpus.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            if len(line) > MAX_LINE_BYTES:
                _skip_rest(file)
                yield RefusedLine(number, f"longer than {MAX_LINE_BYTES // 1024**2} MiB")
            elif line.strip():
                entry = _entry(line, number)
                if isinstance(entry, BeirEntry) and entry.external_id in seen:
                    first = seen[entry.external_id]
                    entry = RefusedLine(number, f'"_id" {entry.external_id!r} is that of line {first}, which counts')
                elif isinstance(entry, BeirEntry):
                    seen[entry.external_id] = number
                yield entry


def entry_to_document(dataset: str, entry: BeirEntry) -> tuple[Document, list[Passage]]:
    """The document and its one passage, whatever its length."""
    source = f"{dataset}/{entry.external_id}"
    document_id = make_document_id(source)
    document = Document(
        document_id=document_id,
        source=source,
        title=entry.title,
        media_type="application/jsonl",
        sha256=entry.sha256,
        text=entry.text,
    )
    passage = Passage(
        passage_id=make_passage_id(document_id, "", entry.text),
        document_id=document_id,
        source=source,
        title=entry.title,
        heading="",
        text=entry.text,
        start=0,
        end=len(entry.text),
        external_id=entry.external_id,
    )
    return document, [passage]


def _skip_rest(file: IO[bytes]) -> None:
    piece = b" "
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(MAX_LINE_BYTES)


def _entry(line: bytes, number: int) -> BeirEntry | RefusedLine:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return RefusedLine(number, f"not UTF-8 ({error.reason} at byte {error.start})")
    except (json.JSONDecodeError, RecursionError) as error:
        return RefusedLine(number, f"not JSON ({error})")
    if not isinstance(fields, dict):
        return RefusedLine(number, f"a {type(fields).__name__}, not an object with _id, title and text")
    return _checked(fields.get("_id"), fields.get("title") or "", fields.get("text") or "", number)


def _checked(external_id: object, title: object, text: object, number: int) -> BeirEntry | RefusedLine:
    if isinstance(external_id, int) and not isinstance(external_id, bool):
        external_id = str(external_id)
    if not isinstance(external_id, str) or not external_id.strip():
        return RefusedLine(number, f'"_id" is {external_id!r}: it must be a text that is not empty')
    if not isinstance(title, str) or not isinstance(text, str):
        return RefusedLine(number, '"title" and "text" must be texts')
    if not (title.strip() or text.strip()):
        return RefusedLine(number, "neither title nor text")
    return BeirEntry(replace_unstorable(external_id), replace_unstorable(title), replace_unstorable(text))
