"""BEIR folders: what is read, what is refused, and what is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from eval.datasets.beir import UnknownJudgment, load_beir, locate_passages
from rag.errors import NotFoundError, TooLittleDataError, UsageError
from rag.library.library import Library
from rag.records import Document, Passage

CORPUS = [{"_id": "p1", "title": "Bees", "text": "Bees dance."}, {"_id": "p2", "text": "Wasps do not."}]
QUERIES = [
    {"_id": "q1", "text": "Who dances?", "metadata": {"answers": ["Bees"]}},
    {"_id": "q2", "text": "Who does not?", "metadata": {}},
]
TEST = "query-id\tcorpus-id\tscore\nq1\tp1\t1\nq1\tp2\t0\nq2\tp2\t2\n"


def a_folder(folder: Path, test: str = TEST, **more: str) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("\n".join(json.dumps(line) for line in CORPUS), "utf-8")
    (folder / "queries.jsonl").write_text("\n".join(json.dumps(line) for line in QUERIES), "utf-8")
    for split, text in ({"test": test} | more).items():
        (folder / "qrels" / f"{split}.tsv").write_text(text, "utf-8")
    return folder


def test_everything_in_the_folder_is_read(tmp_path: Path) -> None:
    dataset = load_beir(a_folder(tmp_path / "insects"))
    assert dataset.name == "insects"
    assert dataset.queries == {"q1": "Who dances?", "q2": "Who does not?"}
    assert dataset.qrels == {"test": {"q1": {"p1": 1, "p2": 0}, "q2": {"p2": 2}}}
    assert dataset.answers == {"q1": ("Bees",)}
    assert list(dataset.corpus()) == [("p1", "Bees", "Bees dance."), ("p2", "", "Wasps do not.")]
    assert dataset.unknown == ()


def test_hash_follows_the_bytes_and_not_the_place(tmp_path: Path) -> None:
    one, same = load_beir(a_folder(tmp_path / "one")), load_beir(a_folder(tmp_path / "same"))
    other = load_beir(a_folder(tmp_path / "other", test=TEST.replace("q2\tp2\t2", "q2\tp2\t1")))
    assert one.sha256 == same.sha256 != other.sha256


def test_judgments_of_unknown_ids_are_left_out_and_listed(tmp_path: Path) -> None:
    dataset = load_beir(a_folder(tmp_path / "d", test="q1\tp1\t1\nq1\tp9\t1\nq9\tp1\t1\n"))
    assert dataset.qrels == {"test": {"q1": {"p1": 1}}}
    assert dataset.unknown == (UnknownJudgment("test", "q1", "p9"), UnknownJudgment("test", "q9", "p1"))


def test_split_leaves_out_questions_without_a_right_passage(tmp_path: Path) -> None:
    dataset = load_beir(a_folder(tmp_path / "d", test="q1\tp1\t0\nq2\tp2\t1\n"))
    assert dataset.split("test") == {"q2": {"p2": 1}}


def test_absent_split_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    dataset = load_beir(a_folder(tmp_path / "d", train="query-id\tcorpus-id\tscore\n"))
    with pytest.raises(NotFoundError, match=r"no split 'dev' .* it has test, train"):
        dataset.split("dev")
    with pytest.raises(TooLittleDataError, match="names no right passage"):
        dataset.split("train")


def test_folder_without_its_files_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no corpus\.jsonl and no queries\.jsonl and no qrels/\*\.tsv"):
        load_beir(tmp_path)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("corpus.jsonl", "{", r"corpus\.jsonl:3 is not JSON"),
        ("corpus.jsonl", "[1]", r"corpus\.jsonl:3 is list, not an object"),
        ("queries.jsonl", '{"_id": "q3"}', r"queries\.jsonl:3 has no 'text'"),
        ("qrels/test.tsv", "q1 p1 1", r"test\.tsv:5 is 'q1 p1 1': write three columns"),
    ],
)
def test_broken_line_is_named_by_file_and_number(tmp_path: Path, file: str, line: str, message: str) -> None:
    folder = a_folder(tmp_path / "d")
    whole = (folder / file).read_text("utf-8").rstrip("\n")
    (folder / file).write_text(f"{whole}\n{line}\n", "utf-8")
    with pytest.raises(UsageError, match=message):
        load_beir(folder)


def test_windows_lines_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "d")
    (folder / "qrels" / "test.tsv").write_bytes("\ufeffq1\tp1\t1\r\nq2\tp2\t1\r\n".encode())
    assert load_beir(folder).qrels["test"] == {"q1": {"p1": 1}, "q2": {"p2": 1}}


def a_library(engine: Engine, names: list[str]) -> Library:
    library = Library(engine)
    for name in names:
        external_id = name.partition("/")[2]
        document = Document(
            document_id=name, source=name, title="", media_type="application/jsonl", sha256=name, text="Bees."
        )
        library.put(
            document,
            [
                Passage(
                    passage_id=f"id-{name}",
                    document_id=name,
                    source=name,
                    title="",
                    heading="",
                    text="Bees.",
                    start=0,
                    end=5,
                    external_id=external_id,
                )
            ],
        )
    return library


def test_passages_are_located_in_their_own_dataset_first(tmp_path: Path, engine: Engine) -> None:
    library = a_library(engine, ["other/p1", "insects/p1", "insects/p2"])
    ids = locate_passages(load_beir(a_folder(tmp_path / "insects")), library)
    assert ids == {"p1": "id-insects/p1", "p2": "id-insects/p2"}


def test_folder_that_was_renamed_is_located_by_ids_that_are_unique(tmp_path: Path, engine: Engine) -> None:
    library = a_library(engine, ["insects/p1", "insects/p2"])
    assert locate_passages(load_beir(a_folder(tmp_path / "renamed")), library)["p2"] == "id-insects/p2"


def test_passages_that_are_absent_or_ambiguous_are_refused(tmp_path: Path, engine: Engine) -> None:
    library = a_library(engine, ["one/p1", "two/p1"])
    dataset = load_beir(a_folder(tmp_path / "insects"))
    with pytest.raises(UsageError, match=r"2 of 2 passages of 'insects' .*'p1'\): run \"nightjar ingest --beir"):
        locate_passages(dataset, library)
