"""Documents, questions, and the exact positions in the documents that answer them: splittings are measured on these.

A folder holds its documents and one of two files, a question a line:

    spans.jsonl      {"query_id": "q1", "question": "…", "document": "notes/a.md", "references": [{"text": "…"}]}
    questions.jsonl  {"_id": "q1", "question": "…", "answer": "… $82,959 …", "documents_cited_in_answer": ["a.pdf"]}

In the first, an excerpt is found by its letters and digits alone, for readers change markup, line ends and page breaks.
The second knows answers only: wanted is every figure of the answer, wherever it is in a document that is cited.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rag.errors import NotFoundError, UsageError
from rag.parsing.formats.blocks import Block, ParsedDocument
from rag.parsing.parser import Parser
from rag.splitting.splitter import SplittingRules, split_document

EXCERPTS, ANSWERS = "spans.jsonl", "questions.jsonl"
_LETTERS = re.compile(r"[^\W_]")
_TAG = re.compile(r"<\w+>")
# With thousands or a decimal part: a bare number may be a year, a day or a note's.
_FIGURE = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?![\w]|[.,]\d)")
_WHOLE = SplittingRules(10**9)  # how a document is cut does not matter for its text

Place = tuple[str, int, int]
"""Document, start and end, in characters of its stored text."""


@dataclass(frozen=True, slots=True)
class ExcerptQuestion:
    """A question, and what answers it."""

    query_id: str
    text: str
    wanted: tuple[tuple[Place, ...], ...]
    """For each excerpt or figure its positions; any of them counts."""


@dataclass(frozen=True, slots=True)
class ExcerptSet:
    """Documents as they were read, and the questions on them."""

    name: str
    documents: Mapping[str, ParsedDocument]
    questions: tuple[ExcerptQuestion, ...]
    n_lost: int
    """The number of excerpts and figures that are not in the documents; a question that lost all of its own is left out."""


def load_excerpts(folder: Path, characters: int | None = None) -> ExcerptSet:
    """Reads the first *characters* of each document that the questions name, and finds the excerpts and figures in it.

    Raises:
        NotFoundError: the folder has neither file, or a document that is named is not there.
        UsageError: a line of the file is not as described above.
        DocumentError: a document can't be read.
    """
    asked = list(_asked(folder))
    names = dict.fromkeys(name for question in asked for _, among in question.wanted for name in among)
    documents = _read(folder, list(names), characters)
    read = {name: _Letters(split_document("", "", parsed, _WHOLE)[0].text) for name, parsed in documents.items()}
    questions, n_lost = [], 0
    for question in asked:
        places = [tuple(_places(read, text, among, question.exact)) for text, among in question.wanted]
        n_lost += places.count(())
        if any(places):
            questions.append(ExcerptQuestion(question.query_id, question.text, tuple(filter(None, places))))
    return ExcerptSet(folder.resolve().name, documents, tuple(questions), n_lost)


# ---- what is asked


@dataclass(frozen=True, slots=True)
class _Asked:
    query_id: str
    text: str
    wanted: list[tuple[str, list[str]]]
    """Texts, and the documents in which each may be."""
    exact: bool
    """Figures are looked for sign by sign, excerpts by their letters."""


def _asked(folder: Path) -> Iterator[_Asked]:
    file = next((folder / name for name in (EXCERPTS, ANSWERS) if (folder / name).is_file()), None)
    if file is None:
        raise NotFoundError(
            f"{str(folder)!r} has neither {EXCERPTS} nor {ANSWERS}: name a folder with documents, and questions on them"
        )
    read = _excerpt_line if file.name == EXCERPTS else _answer_line
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        try:
            yield read(json.loads(line), folder)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{str(file)!r}, line {number}, is not a question ({error!r}): "
                "see the head of eval/datasets/excerpts.py for what a line holds"
            ) from error


def _excerpt_line(line: dict[str, Any], _folder: Path) -> _Asked:
    wanted = [(reference["text"], [reference.get("document") or line["document"]]) for reference in line["references"]]
    return _Asked(line["query_id"], line["question"], wanted, exact=False)


def _answer_line(line: dict[str, Any], folder: Path) -> _Asked:
    below = folder / "pdf"
    cited = [f"pdf/{name}" if (below / name).is_file() else name for name in line["documents_cited_in_answer"]]
    figures = dict.fromkeys(_FIGURE.findall(line["answer"])) if cited else {}
    return _Asked(line["_id"], line["question"], [(figure, cited) for figure in figures], exact=True)


# ---- where an excerpt is


def _read(folder: Path, names: list[str], characters: int | None) -> dict[str, ParsedDocument]:
    documents: dict[str, ParsedDocument] = {}
    with Parser() as parser:
        for name in names:
            if not (folder / name).is_file():
                raise NotFoundError(f"{str(folder / name)!r}, which a question names, is not there")
            documents[name] = _beginning(parser.parse(folder / name), characters)
    return documents


def _beginning(parsed: ParsedDocument, characters: int | None) -> ParsedDocument:
    """Returns the first blocks that hold *characters* together, and no part of a block."""
    kept: list[Block] = []
    n = 0
    for block in parsed.blocks:
        n += len(block.text)
        if characters is not None and n > characters and kept:
            break
        kept.append(block)
    return replace(parsed, blocks=tuple(kept))


def _places(read: Mapping[str, _Letters], text: str, among: list[str], exact: bool) -> Iterator[Place]:
    for name in among:
        found = read[name].find_exactly(text) if exact else read[name].find(text)
        yield from ((name, start, end) for start, end in found)


@dataclass(frozen=True)
class _Letters:
    """A text in which excerpts are found by their letters and digits alone."""

    text: str

    @cached_property
    def _at(self) -> array[int]:
        return array("l", (letter.start() for letter in _LETTERS.finditer(self.text)))

    @cached_property
    def _joined(self) -> str:
        return _joined(self.text)

    def find(self, excerpt: str) -> Iterator[tuple[int, int]]:
        """Every place where the excerpt is, from its first letter to its last; tags may be gone."""
        joined = _joined(excerpt)
        wanted = joined if joined in self._joined else _joined(_TAG.sub("", excerpt))
        place = self._joined.find(wanted) if wanted else -1
        while place >= 0:
            yield self._at[place], self._at[place + len(wanted) - 1] + 1
            place = self._joined.find(wanted, place + 1)

    def find_exactly(self, figure: str) -> Iterator[tuple[int, int]]:
        """Every position where the figure is on its own."""
        for match in re.finditer(rf"(?<![\d.,]){re.escape(figure)}(?!\d|[.,]\d)", self.text):
            yield match.span()


def _joined(text: str) -> str:
    return "".join(_LETTERS.findall(text))
