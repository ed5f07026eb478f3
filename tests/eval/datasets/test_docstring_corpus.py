"""The demo library: docstrings as passages, their own summaries as questions, and nothing given away."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.datasets.beir import load_beir
from eval.datasets.docstring_corpus import (
    DocstringPassage,
    choose_passages,
    docstrings_of_file,
    split_docstring,
    split_of,
    write_docstring_corpus,
)
from rag.errors import TooLittleDataError

MEAN = """Compute the arithmetic mean along an axis.

Returns the average of the elements. The average is taken over the flattened array by default,
otherwise over the :func:`~numpy.axis` given.

Parameters
----------
a : array_like
    Array whose mean is wanted; ``None`` is refused with an error.

See Also
--------
median : Compute the median along an axis.

Examples
--------
>>> mean([1, 2])
1.5

Notes
-----
The mean is the sum divided by the number.
"""


def test_docstring_becomes_a_passage_and_two_questions() -> None:
    text, questions = split_docstring(MEAN) or ("", ())
    assert questions == ("Compute the arithmetic mean along an axis.", "Returns the average of the elements.")
    assert text.splitlines() == [
        "The average is taken over the flattened array by default, otherwise over the numpy.axis given.",
        "Parameters",
        "a : array_like",
        "Array whose mean is wanted; None is refused with an error.",
        "Notes",
        "The mean is the sum divided by the number.",
    ]


@pytest.mark.parametrize(
    "docstring",
    [
        "",
        "Too short.\n\n" + "word " * 40,
        "A fine summary of what this does.\n\nToo little text.",
        "A template that is filled at import.\n\n%(parameters)s " + "word " * 40,
        "x = f(a, b); y_1 -> z[0] + 2\n\n" + "word " * 40,
    ],
)
def test_docstring_without_a_question_or_a_text_is_no_passage(docstring: str) -> None:
    assert split_docstring(docstring) is None


SOURCE = f'''
import nothing_that_exists
raise SystemExit("never runs")

def mean():
    """{MEAN}"""

def _private():
    """{MEAN}"""

class Table:
    @property
    def mean(self):
        """{MEAN}"""
    @mean.setter
    def mean(self, value):
        """{MEAN}"""

class _Hidden:
    def mean(self):
        """{MEAN}"""
'''


def test_source_is_read_and_never_run(tmp_path: Path) -> None:
    file = tmp_path / "_table.py"
    file.write_text(SOURCE, "utf-8")
    found = list(docstrings_of_file(file, "package._table"))
    assert [entry.name for entry in found] == ["package._table.mean", "package._table.Table.mean"]
    assert [entry.title for entry in found] == ["package", "package.Table"]


def test_source_of_another_python_gives_nothing(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    file.write_text('print "hello"', "utf-8")
    assert list(docstrings_of_file(file, "old")) == []


def test_question_that_two_docstrings_share_points_nowhere() -> None:
    found = [
        DocstringPassage("a", "text one", ("Fit the model now.", "Only mine is here.")),
        DocstringPassage("b", "text two", ("Fit the   model, now!",)),
    ]
    assert choose_passages(found, 10) == [DocstringPassage("a", "text one", ("Only mine is here.",))]


def test_question_that_stands_in_a_passage_is_dropped() -> None:
    found = [
        DocstringPassage("a", "Some text.", ("Sort the list in place.", "Return the sorted list again.")),
        DocstringPassage("b", "More: sort the list\nin place, always.", ("Another way to sort it.",)),
    ]
    assert {entry.name: entry.questions for entry in choose_passages(found, 10)} == {
        "a": ("Return the sorted list again.",),
        "b": ("Another way to sort it.",),
    }


def test_same_text_is_one_passage() -> None:
    found = [
        DocstringPassage("a", "The same text.", ("What is the first?",)),
        DocstringPassage("b", "The  same text", ("What is the second?",)),
    ]
    assert [entry.name for entry in choose_passages(found, 10)] == ["a"]


def test_splits_have_about_their_shares() -> None:
    splits = [split_of(f"name#{number}") for number in range(2000)]
    shares = {split: splits.count(split) / 2000 for split in ("train", "dev", "test")}
    assert shares == pytest.approx({"train": 0.6, "dev": 0.1, "test": 0.3}, abs=0.03)


def test_written_folder_is_a_beir_dataset_with_seen_and_unseen_passages(tmp_path: Path) -> None:
    written = write_docstring_corpus(tmp_path / "demo", max_passages=300, min_passages=300, packages=["numpy"])
    dataset = load_beir(tmp_path / "demo")
    assert dataset.unknown == ()
    assert written.n_passages == len(list(dataset.corpus())) == 300
    assert sum(written.n_questions.values()) == len(dataset.queries)
    trained = {passage_id for grades in dataset.qrels["train"].values() for passage_id in grades}
    asked = {passage_id for grades in dataset.qrels["test"].values() for passage_id in grades}
    assert asked & trained
    assert len(asked - trained) > len(asked & trained)


def test_same_installation_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_docstring_corpus(tmp_path / name, max_passages=50, min_passages=50, packages=["numpy"])
    assert load_beir(tmp_path / "one").sha256 == load_beir(tmp_path / "two").sha256


def test_too_few_docstrings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLittleDataError, match="0 documented functions were found, the demo needs 10"):
        write_docstring_corpus(tmp_path / "demo", min_passages=10, packages=["no_such_package"])
    assert not (tmp_path / "demo").exists()
