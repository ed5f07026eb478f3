"""BEIR folders: a corpus, questions, and which passages are right, named by the hash of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.datasets.jsonl import parse_json_object
from rag.errors import NotFoundError, TooLittleDataError, UsageError
from rag.library.library import Library

Grades = dict[str, int]
"""passage_id → grade; right if above 0."""


@dataclass(frozen=True, slots=True)
class UnknownJudgment:
    """A line of qrels that names a question or a passage which the folder does not have."""

    split: str
    query_id: str
    passage_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeirDataset:
    """A folder with corpus.jsonl, queries.jsonl and qrels/*.tsv; the corpus stays on disk."""

    name: str
    folder: Path
    sha256: str
    """A hash of the names and bytes of all its files: equal hashes mean equal questions."""
    queries: dict[str, str]
    """query_id → text."""
    qrels: dict[str, dict[str, Grades]]
    """split → query_id → grades, in the order of the files."""
    answers: dict[str, tuple[str, ...]]
    """query_id → the answers in its metadata, if there are any."""
    unknown: tuple[UnknownJudgment, ...] = ()
    """Judgments that were left out of `qrels`."""

    def corpus(self) -> Iterator[tuple[str, str, str]]:
        """(id, title, text) of every passage, read from disk line by line.

        Raises:
            UsageError: a line is not a passage.
        """
        for line_number, line in _json_lines(self.folder / "corpus.jsonl"):
            yield _text(line, "_id", line_number), str(line.get("title") or ""), _text(line, "text", line_number)

    def split(self, name: str) -> dict[str, Grades]:
        """The grades of every question of a split that has at least one right passage.

        Questions without one can't tell retrievers apart: whatever is found, they are worth 0.

        Raises:
            NotFoundError: the folder has no such split.
            TooLittleDataError: no question of the split has a right passage.
        """
        if name not in self.qrels:
            raise NotFoundError(f"no split {name!r} in {str(self.folder)!r}: it has {', '.join(sorted(self.qrels))}")
        judged = {query_id: grades for query_id, grades in self.qrels[name].items() if max(grades.values()) > 0}
        if not judged:
            raise TooLittleDataError(f"split {name!r} of {str(self.folder)!r} names no right passage: choose another")
        return judged


def load_beir(folder: Path) -> BeirDataset:
    """Reads a BEIR folder, checking every line of it once.

    Judgments of unknown questions or passages are left out and listed in `unknown`.

    Raises:
        NotFoundError: a file is missing.
        UsageError: a line can't be read.
    """
    files = _files(folder)
    queries: dict[str, str] = {}
    answers: dict[str, tuple[str, ...]] = {}
    for line_number, line in _json_lines(folder / "queries.jsonl"):
        query_id = _text(line, "_id", line_number)
        queries[query_id] = _text(line, "text", line_number)
        if given := (line.get("metadata") or {}).get("answers"):
            answers[query_id] = tuple(str(answer) for answer in given)
    passage_ids = {_text(line, "_id", line_number) for line_number, line in _json_lines(folder / "corpus.jsonl")}
    qrels: dict[str, dict[str, Grades]] = {}
    unknown: list[UnknownJudgment] = []
    for file in files[2:]:
        qrels[file.stem] = {}
        for query_id, passage_id, grade in _judgments(file):
            if query_id in queries and passage_id in passage_ids:
                qrels[file.stem].setdefault(query_id, {})[passage_id] = grade
            else:
                unknown.append(UnknownJudgment(file.stem, query_id, passage_id))
    return BeirDataset(
        name=folder.resolve().name,
        folder=folder,
        sha256=_sha256(files),
        queries=queries,
        qrels=qrels,
        answers=answers,
        unknown=tuple(unknown),
    )


def locate_passages(dataset: BeirDataset, library: Library) -> dict[str, str]:
    """Maps every passage of the dataset to the id it has in the library.

    BEIR ids repeat between datasets ("p0"), so the passage whose source is `dataset/id` comes first; an id that only
    other sources know is taken if one passage alone has it.

    Raises:
        UsageError: passages of the dataset are not in the library, or more than one could be meant.
    """
    by_source: dict[str, str] = {}
    by_id: dict[str, list[str]] = {}
    for passage in library.iterate_passages():
        if passage.external_id is not None:
            by_source[passage.source] = passage.passage_id
            by_id.setdefault(passage.external_id, []).append(passage.passage_id)
    found: dict[str, str] = {}
    lost = []
    for external_id, _, _ in dataset.corpus():
        own, others = by_source.get(f"{dataset.name}/{external_id}"), by_id.get(external_id, [])
        if own or len(others) == 1:
            found[external_id] = own or others[0]
        else:
            lost.append(external_id)
    if lost:
        n = len(lost) + len(found)
        raise UsageError(
            f"{len(lost):,} of {n:,} passages of {dataset.name!r} are not in the library "
            f'(the first: {lost[0]!r}): run "nightjar ingest --beir {dataset.folder}"'
        )
    return found


def translate_qrels(qrels: Mapping[str, Grades], ids: Mapping[str, str]) -> dict[str, Grades]:
    """Returns the judgments with the passage ids of *ids*; if two become one, the higher grade counts.

    >>> translate_qrels({"q": {"a": 0, "b": 1}}, {"a": "p", "b": "p"})
    {'q': {'p': 1}}
    """
    result: dict[str, Grades] = {}
    for query_id, grades in qrels.items():
        result[query_id] = {}
        for external_id, grade in grades.items():
            passage_id = ids[external_id]
            result[query_id][passage_id] = max(grade, result[query_id].get(passage_id, grade))
    return result


def _files(folder: Path) -> list[Path]:
    """corpus.jsonl, queries.jsonl, then the qrels by name."""
    needed = [folder / "corpus.jsonl", folder / "queries.jsonl"]
    qrels = sorted((folder / "qrels").glob("*.tsv"))
    missing = [file.name for file in needed if not file.is_file()] + ([] if qrels else ["qrels/*.tsv"])
    if missing:
        raise NotFoundError(
            f"{str(folder)!r} is not a BEIR folder: it has no {' and no '.join(missing)}; "
            "give a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv"
        )
    return needed + qrels


def _json_lines(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """("file:line", object) for every line that is not blank."""
    with file.open(encoding="utf-8-sig") as lines:
        for number, text in enumerate(lines, start=1):
            if text.strip():
                place = f"{file}:{number}"
                yield place, parse_json_object(text, place, '{"_id": …, "text": …}')


def _text(line: Mapping[str, Any], key: str, place: str) -> str:
    value = line.get(key)
    if not isinstance(value, str | int):
        raise UsageError(f"{place} has no {key!r}, or one that is not a text ({value!r}): every line needs it")
    return str(value)


def _judgments(file: Path) -> Iterator[tuple[str, str, int]]:
    """(query_id, passage_id, grade) of every line; the first one may be a header."""
    with file.open(encoding="utf-8-sig") as lines:
        for number, text in enumerate(lines, start=1):
            cells = text.rstrip("\r\n").split("\t")
            if not text.strip():
                continue
            try:
                query_id, passage_id, grade = cells
                yield query_id, passage_id, int(float(grade))
            except ValueError as error:
                if number > 1:
                    raise UsageError(
                        f"{file}:{number} is {text.strip()!r}: write three columns, divided by tabs: "
                        "query-id, corpus-id, score (a whole number)"
                    ) from error


def _sha256(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            total.update(file.name.encode() + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
