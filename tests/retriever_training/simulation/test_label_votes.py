"""Verdicts made of labels and of ratings."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.datasets.beir import load_beir
from rag.errors import UsageError
from retriever_training.simulation.label_votes import pins_from_labels, verdicts_from_ratings


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text("".join(f'{{"_id": "p{n}", "text": "passage {n}"}}\n' for n in range(50)))
    (tmp_path / "queries.jsonl").write_text("".join(f'{{"_id": "q{n}", "text": "question {n}"}}\n' for n in range(400)))
    labels = "".join(f"q{n}\tp{n % 50}\t1\n" for n in range(400))
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + labels)
    return tmp_path


def test_labels_become_pins_of_the_right_passage(labelled: Path) -> None:
    lines = list(pins_from_labels(load_beir(labelled), "train", {}))
    assert len(lines) == 400
    assert all(int(line["passage_id"][1:]) == int(line["query"].split()[1]) % 50 for line in lines)


def test_three_pins_in_ten_are_wrong_and_half_of_them_plausible(labelled: Path) -> None:
    shown = {f"q{n}": [f"p{n % 50}", "p7", "p8"] for n in range(400)}
    lines = list(pins_from_labels(load_beir(labelled), "train", shown, wrong=0.3))
    wrong = [line for line in lines if int(line["passage_id"][1:]) != int(line["query"].split()[1]) % 50]
    assert len(wrong) / len(lines) == pytest.approx(0.3, abs=0.05)
    plausible = [verdict for verdict in wrong if verdict["passage_id"] in ("p7", "p8")]
    assert len(plausible) / len(wrong) == pytest.approx(0.5, abs=0.12)
    assert lines == list(pins_from_labels(load_beir(labelled), "train", shown, wrong=0.3))


def test_ratings_become_verdicts_of_different_people(tmp_path: Path) -> None:
    file = tmp_path / "ratings.jsonl"
    row = '{{"query": "q", "passage_id": "p", "rating": "{}", "split": "{}"}}\n'
    said = [("Excellent", "dev"), ("Bad", "dev"), ("Could be improved", "dev"), ("Bad", "test")]
    file.write_text("".join(row.format(*verdict) for verdict in said))
    assert [(verdict["verdict"], verdict["user"]) for verdict in verdicts_from_ratings(file, "dev")] == [
        ("helpful", "rater-1"),
        ("not_relevant", "rater-2"),
    ]


def test_a_line_that_is_no_rating_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ratings.jsonl"
    file.write_text('{"query": "q"}\n')
    with pytest.raises(UsageError, match="line 1"):
        list(verdicts_from_ratings(file, "dev"))
