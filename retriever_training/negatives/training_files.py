"""Training rows as files: JSON lines with provenance, a `datasets` folder that trains as it is, and DPR's format.

Each is written next to its destination and then renamed, so that a file that exists is complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from rag.errors import TooLittleDataError, UsageError
from rag.records import Passage
from retriever_training.output_path import atomic_replace, check_output_path

RowFormat = Literal["jsonl", "datasets", "dpr"]

PROVENANCE_FILE = "provenance.jsonl"
"""In a `datasets` folder: line i describes row i. In a column it would be encoded as if it were text."""
EASY_SOURCES = frozenset({"random", "in_batch"})
"""Sources whose passages DPR calls negative_ctxs; those of the others are hard_negative_ctxs."""

RowJson = Mapping[str, Any]
"""A row as `mixing.rows_as_json` yields it, passages by their ids."""


def check_writable(out: Path, kind: RowFormat, *, force: bool) -> None:
    """Checks, before the work begins, that *out* can be written.

    Raises:
        UsageError: it exists and *force* is not given, or it holds something that we did not write.
        NotFoundError: the folder that it should be in does not exist.
    """
    check_output_path(out, force=force)
    if not out.exists():
        return
    ours = out.is_dir() and (out / PROVENANCE_FILE).is_file()
    if out.is_dir() != (kind == "datasets") or (out.is_dir() and not ours):
        raise UsageError(
            f"{str(out)!r} is a {'folder' if out.is_dir() else 'file'} that this command did not write, "
            "and is not replaced: choose another name"
        )


def write_rows(
    out: Path,
    kind: RowFormat,
    lines: Sequence[RowJson],
    passages: Mapping[str, Passage],
    n_negatives: int,
    *,
    force: bool,
) -> int:
    """Writes the rows and returns how many were written.

    `datasets` takes the first *n_negatives* of each row and leaves out rows with fewer, because a column may have no gaps.

    Raises:
        UsageError, NotFoundError: as `check_writable`.
        TooLittleDataError: `datasets` would hold no row.
    """
    check_writable(out, kind, force=force)
    if kind == "datasets":
        lines = _with_enough(lines, n_negatives)
    with atomic_replace(out) as temporary:
        if kind == "jsonl":
            _write_lines(temporary, lines)
        elif kind == "dpr":
            temporary.write_text(json.dumps(list(dpr_entries(lines, passages)), ensure_ascii=False, indent=1), "utf-8")
        else:
            _write_dataset(temporary, dataset_columns(lines, passages, n_negatives))
            _write_lines(temporary / PROVENANCE_FILE, lines)
    return len(lines)


def dataset_columns(
    lines: Sequence[RowJson], passages: Mapping[str, Passage], n_negatives: int
) -> dict[str, list[str]]:
    """Returns anchor, positive, negative_1 … as texts, in the order in which sentence-transformers' losses read them.

    A passage is what the encoder reads: title and headings before the text.

    >>> passages = {name: Passage(
    ...     passage_id=name, document_id="d", source="s", title=name.upper(),
    ...     heading="", text="text", start=0, end=4,
    ... ) for name in ("a", "b")}
    >>> dataset_columns([{"query": "q?", "positive": "a", "negatives": [{"passage_id": "b"}]}], passages, 1)
    {'anchor': ['q?'], 'positive': ['A\\ntext'], 'negative_1': ['B\\ntext']}
    """
    columns = {
        "anchor": [str(line["query"]) for line in lines],
        "positive": [passages[line["positive"]].encoded_text for line in lines],
    }
    for index in range(n_negatives):
        ids = [line["negatives"][index]["passage_id"] for line in lines]
        columns[f"negative_{index + 1}"] = [passages[passage_id].encoded_text for passage_id in ids]
    return columns


def dpr_entries(lines: Sequence[RowJson], passages: Mapping[str, Passage]) -> Iterator[dict[str, Any]]:
    """Yields one entry per question, with all its right passages, as facebookresearch/DPR reads it (Karpukhin et al. 2020).

    Rows of one question must follow each other. There are no answers, because a verdict names a passage. DPR ignores the
    provenance of a negative, which is kept as further keys.
    """
    for (question, _), group in groupby(lines, key=lambda line: (line["query"], line.get("epoch"))):
        rows = list(group)
        negatives = {negative["passage_id"]: negative for row in rows for negative in row["negatives"]}.values()
        yield {
            "question": question,
            "answers": [],
            "positive_ctxs": [_context(passages[row["positive"]], {"score": row["weight"]}) for row in rows],
            "negative_ctxs": [_context(passages[n["passage_id"]], n) for n in negatives if n["source"] in EASY_SOURCES],
            "hard_negative_ctxs": [
                _context(passages[n["passage_id"]], n) for n in negatives if n["source"] not in EASY_SOURCES
            ],
        }


def _context(passage: Passage, extra: Mapping[str, Any]) -> dict[str, Any]:
    text = "\n".join(part for part in (passage.heading, passage.text) if part)
    return {"title": passage.title, "text": text, **extra, "passage_id": passage.passage_id}


def _with_enough(lines: Sequence[RowJson], n_negatives: int) -> list[RowJson]:
    enough = [line for line in lines if len(line["negatives"]) >= n_negatives]
    if not enough:
        raise TooLittleDataError(
            f"none of {len(lines):,} rows has {n_negatives} negatives: ask for fewer with "
            "--negatives, or name more sources"
        )
    return enough


def _write_lines(file: Path, lines: Sequence[RowJson]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _write_dataset(folder: Path, texts: Mapping[str, list[str]]) -> None:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    Dataset.from_dict(dict(texts)).save_to_disk(str(folder))
