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
from rag.parsing.formats.blocks import storable
from rag.records import Document, Passage, sha256_of
from rag.splitting.splitter import document_id_of, passage_id_of

MAX_LINE = 16 * 1024**2  # bytes; a longer line is no passage


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that is a passage."""

    external_id: str
    title: str
    text: str

    @property
    def sha256(self) -> str:
        """Of what is stored of the line; other keys may change without effect."""
        return sha256_of(json.dumps([self.title, self.text]))


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that is none, and why."""

    number: int
    """1-based."""
    reason: str


def corpus_of(folder: Path) -> Path:
    """The folder's corpus.jsonl.

    Raises:
        NotFoundError: there is none.
    """
    corpus = folder / "corpus.jsonl"
    if not corpus.is_file():
        raise NotFoundError(f"no corpus.jsonl in {str(folder)!r}: a BEIR folder holds corpus.jsonl, queries.jsonl and "
                            "qrels/; for other documents give the path without --beir")  # fmt: skip
    return corpus


def read_corpus(corpus: Path) -> Iterator[Entry | BadLine]:
    """The lines in order, one at a time; blank ones are passed over."""
    seen: dict[str, int] = {}
    with corpus.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
            if len(line) > MAX_LINE:
                _skip_rest(file)
                yield BadLine(number, f"longer than {MAX_LINE // 1024**2} MiB")
            elif line.strip():
                entry = _entry(line, number)
                if isinstance(entry, Entry) and entry.external_id in seen:
                    first = seen[entry.external_id]
                    entry = BadLine(number, f'"_id" {entry.external_id!r} is that of line {first}, which counts')
                elif isinstance(entry, Entry):
                    seen[entry.external_id] = number
                yield entry


def stored(dataset: str, entry: Entry) -> tuple[Document, list[Passage]]:
    """The document and its one passage, whatever its length."""
    source = f"{dataset}/{entry.external_id}"
    document_id = document_id_of(source)
    document = Document(document_id, source, entry.title, "application/jsonl", entry.sha256, entry.text)
    passage = Passage(passage_id_of(document_id, "", entry.text), document_id, source, entry.title, "", entry.text,
                      0, len(entry.text), external_id=entry.external_id)  # fmt: skip
    return document, [passage]


def _skip_rest(file: IO[bytes]) -> None:
    piece = b" "
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(MAX_LINE)


def _entry(line: bytes, number: int) -> Entry | BadLine:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BadLine(number, f"not UTF-8 ({error.reason} at byte {error.start})")
    except (json.JSONDecodeError, RecursionError) as error:
        return BadLine(number, f"not JSON ({error})")
    if not isinstance(fields, dict):
        return BadLine(number, f"a {type(fields).__name__}, not an object with _id, title and text")
    return _checked(fields.get("_id"), fields.get("title") or "", fields.get("text") or "", number)


def _checked(external_id: object, title: object, text: object, number: int) -> Entry | BadLine:
    if isinstance(external_id, int) and not isinstance(external_id, bool):
        external_id = str(external_id)
    if not isinstance(external_id, str) or not external_id.strip():
        return BadLine(number, f'"_id" is {external_id!r}: it must be a text that is not empty')
    if not isinstance(title, str) or not isinstance(text, str):
        return BadLine(number, '"title" and "text" must be texts')
    if not (title.strip() or text.strip()):
        return BadLine(number, "neither title nor text")
    return Entry(storable(external_id), storable(title), storable(text))
