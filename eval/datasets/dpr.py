"""DPR's retriever files (biencoder-nq-train.json and its like) as a BEIR folder, which everything else reads.

An entry is {"question", "answers", "positive_ctxs", "negative_ctxs", "hard_negative_ctxs"}, a context {"title", "text",
"passage_id" or "psg_id"} (Karpukhin et al. 2020). A positive gets grade 1 and a hard negative grade 0. Easy negatives
only join the corpus: nobody chose them for the question. Hard negatives do not become verdicts either, because a
search found them, and no person looked.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import ijson

from rag.errors import NotFoundError, UsageError

CHUNK = 64 * 1024  # characters read at once
MAX_ENTRY = 64 * 1024**2  # characters; what is longer is not an entry, but a file in which something is not closed
KINDS = ("positive_ctxs", "negative_ctxs", "hard_negative_ctxs")

LeftOut = Literal["no_right_passage", "no_words", "renamed"]

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What was converted from DPR's files."""

    n_questions: Mapping[str, int]
    """Split → questions; a question that occurs twice counts once."""
    n_passages: int
    left_out: Mapping[LeftOut, int]
    """Reason → the number of questions or passages that were not taken unchanged."""


def convert_to_beir(
    files: Mapping[str, Path], folder: Path, progress: Callable[[int], None] = lambda n: None
) -> ConversionReport:
    """Writes the BEIR folder of one file for each split, entry by entry: no file is held in memory.

    Equal questions become one. Passages keep their ids; one without an id is named by its content, and so is one whose
    id another text has already. *progress* gets 1 after every entry.

    Raises:
        NotFoundError: a file, or the folder's parent, is not there.
        UsageError: the folder is there already, or an entry can't be read; it is named.
    """
    for file in files.values():
        if not file.is_file():
            raise NotFoundError(f"no file {str(file)!r}: name a retriever file of DPR, such as biencoder-nq-dev.json")
    if folder.exists():
        raise UsageError(f"{str(folder)!r} is there already: choose another name")
    if not folder.resolve().parent.is_dir():
        raise NotFoundError(f"no folder {str(folder.resolve().parent)!r} to write {folder.name!r} in: make it first")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        with ExitStack() as stack:
            writer = _Writer(temporary, tuple(files), stack)
            for split, file in files.items():
                for entry_number, entry in read_entries(file):
                    writer.add(split, entry_number, entry)
                    progress(1)
            converted = writer.close()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return converted


def read_entries(file: Path) -> Iterator[tuple[str, Entry]]:
    """("file, entry 1", object) one at a time, of a JSON list or of JSON lines, gzipped or not.

    Raises:
        UsageError: it is not JSON, or an entry is not an object; the message names the entry.
    """
    with _open(file) as stream:
        number = 0
        try:
            for number, value in enumerate(_values(stream), start=1):
                place = f"{file}, entry {number}"
                if not isinstance(value, dict):
                    raise UsageError(f"{place} is a {type(value).__name__}: it must be an object with a question")
                yield place, value
        except ijson.JSONError as error:
            raise UsageError(
                f"{file}, entry {number + 1} is not JSON ({_reason(error)}): a file of DPR is a list of objects"
            ) from error
        except (UnicodeDecodeError, OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{file} can't be read after entry {number} ({error}): is it whole, and UTF-8?") from error


def _open(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig")
    return file.open(encoding="utf-8-sig")


def _values(stream: IO[str]) -> Iterator[Any]:
    """The elements of a JSON list, or JSON values that follow each other, decoded as they are read."""
    head = stream.read(CHUNK)
    while head and not head.strip():
        head = stream.read(CHUNK)
    if not head:
        return
    stream.seek(0)
    source = _Utf8Source(stream)
    is_list = head.lstrip().startswith("[")
    for value in ijson.items(
        source, "item" if is_list else "", multiple_values=not is_list, use_float=True, buf_size=CHUNK
    ):
        source.n_since_entry = 0
        yield value


class _Utf8Source:
    """A text stream as the bytes that ijson wants to read; it ends with an error if an entry never does."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.n_since_entry = 0
        """Characters read since the last whole entry."""

    def read(self, size: int) -> bytes:
        text = self._stream.read(size)
        self.n_since_entry += len(text)
        if self.n_since_entry > MAX_ENTRY:
            raise ijson.JSONError(f"it has no end within {MAX_ENTRY:,} characters")
        return text.encode()


def _reason(error: ijson.JSONError) -> str:
    """The first line of what the parser says; the others draw the position."""
    reason = str(error).splitlines()[0].strip()
    return "the file ends within the list, or within the entry" if reason.endswith("premature EOF") else reason


@dataclass
class _Question:
    query_id: str
    answers: dict[str, None] = field(default_factory=dict)
    right: dict[str, set[str]] = field(default_factory=dict)
    """split → ids of its right passages; those of grade 0 are only written."""


class _Writer:
    """The open files of one BEIR folder; only ids and hashes of passages are held in memory."""

    def __init__(self, folder: Path, splits: tuple[str, ...], stack: ExitStack) -> None:
        (folder / "qrels").mkdir(parents=True)

        def opened(name: str) -> IO[str]:
            return stack.enter_context((folder / name).open("w", encoding="utf-8"))

        self._corpus, self._queries = opened("corpus.jsonl"), opened("queries.jsonl")
        self._qrels = {split: opened(f"qrels/{split}.tsv") for split in splits}
        for file in self._qrels.values():
            file.write("query-id\tcorpus-id\tscore\n")
        self._questions: dict[str, _Question] = {}
        self._hash_of: dict[str, bytes] = {}
        self._left_out: Counter[LeftOut] = Counter()

    def add(self, split: str, place: str, entry: Entry) -> None:
        text = entry.get("question")
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"{place} has no question, or one that is not a text ({text!r}): every entry needs one")
        place = f"{place} ({text[:40]!r})"
        question = self._questions.setdefault(text, _Question(f"q{len(self._questions)}"))
        question.answers.update(dict.fromkeys(_answers(entry, place)))
        ids = {kind: [self._passage_id(*context) for context in _contexts(entry, kind, place)] for kind in KINDS}
        right = question.right.setdefault(split, set())
        new = {passage_id for passage_id in ids["positive_ctxs"] if passage_id} - right
        right |= new
        if not ids["positive_ctxs"]:
            self._left_out["no_right_passage"] += 1
        wrong = {passage_id for passage_id in ids["hard_negative_ctxs"] if passage_id} - right
        for grade, passage_ids_of_grade in (
            (0, sorted(wrong)),
            (1, sorted(new)),
        ):  # the last line of a pair is what readers take
            self._qrels[split].writelines(
                f"{question.query_id}\t{passage_id}\t{grade}\n" for passage_id in passage_ids_of_grade
            )

    def _passage_id(self, given: str, title: str, text: str) -> str:
        """The id that the passage has in the corpus, after writing it there if it is new; empty for one without words."""
        if not (title.strip() or text.strip()):
            self._left_out["no_words"] += 1
            return ""
        digest = hashlib.sha256(f"{title}\0{text}".encode("utf-8", "backslashreplace")).digest()[:8]
        passage_id = given or f"p{digest.hex()}"
        if self._hash_of.get(passage_id, digest) != digest:
            passage_id = f"{passage_id}-{digest.hex()}"
            if passage_id not in self._hash_of:
                self._left_out["renamed"] += 1
        if passage_id not in self._hash_of:
            self._hash_of[passage_id] = digest
            self._corpus.write(_json_line({"_id": passage_id, "title": title, "text": text}))
        return passage_id

    def close(self) -> ConversionReport:
        for text, question in self._questions.items():
            answers = {"metadata": {"answers": list(question.answers)}} if question.answers else {}
            self._queries.write(_json_line({"_id": question.query_id, "text": text, **answers}))
        n_questions = {
            split: sum(split in question.right for question in self._questions.values()) for split in self._qrels
        }
        return ConversionReport(n_questions, len(self._hash_of), dict(self._left_out))


def _json_line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"


def _answers(entry: Entry, place: str) -> list[str]:
    answers = entry.get("answers") or []
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise UsageError(f"{place} has answers {str(answers)[:40]!r}: they must be a list of texts")
    return answers


def _contexts(entry: Entry, kind: str, place: str) -> Iterator[tuple[str, str, str]]:
    """(id or empty, title, text) of each context of one kind; a kind that is absent has none."""
    contexts = entry.get(kind) or []
    if not isinstance(contexts, list):
        raise UsageError(f"{place}: {kind} is a {type(contexts).__name__}, and must be a list of contexts")
    for number, context in enumerate(contexts, start=1):
        if not isinstance(context, dict):
            raise UsageError(f"{place}: {kind} {number} is a {type(context).__name__}, and must be an object")
        title, text = context.get("title") or "", context.get("text")
        if not isinstance(title, str) or not isinstance(text, str):
            raise UsageError(f'{place}: {kind} {number} has no "text", or a "title" that is not a text')
        given = next((str(context[key]) for key in ("passage_id", "psg_id") if context.get(key) is not None), "")
        yield ("".join(given.split()), title, text)
