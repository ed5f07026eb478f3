"""The mining benchmark mines what it says on both sides; how fast anything is, no test says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rag.errors import TooLittleDataError
from retriever_training.bench import mining as bench_mining
from retriever_training.bench.mining import PrecomputedEncoder, beir_workload, measure_mining, synthetic_workload


@pytest.fixture
def small(monkeypatch, base_folder):
    """A made-up workload; the time to encode is estimated from four texts of each kind."""
    monkeypatch.setattr(bench_mining, "N_SAMPLED_TEXTS", 4)
    return synthetic_workload(20, 200, base_folder)


@pytest.fixture
def beir(tmp_path):
    """Three passages; two questions, of which one has right passages, in two splits."""
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    lines = [{"_id": f"p{n}", "title": "", "text": f"passage number {n}"} for n in range(3)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = [{"_id": "q", "text": "Which number?"}, {"_id": "r", "text": "None?"}]
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp2\t1\nr\tp0\t0\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp1\t2\n")
    return folder


def test_each_made_up_question_is_drawn_from_its_right_passage_and_lies_near_it(small) -> None:
    for question, (row,), vector in zip(small.questions, small.positives, small.question_vectors, strict=True):
        assert set(question.split()) <= set(small.passages[row].split())
        assert np.argmax(small.passage_vectors @ vector) == row
    assert small.encoding.n_texts == 8
    assert small.encoding.seconds > 0


def test_both_sides_mine_four_negatives_for_every_question(small, tmp_path, base_folder) -> None:
    measured = measure_mining(small, tmp_path, base_folder)
    assert (measured.n_questions, measured.n_passages) == (20, 200)
    assert measured.nightjar.n_negatives == measured.theirs.n_negatives == 80
    assert measured.nightjar.n_looked_at > 80
    for side in (measured.nightjar, measured.theirs):
        assert side.peak_gib >= side.loaded_gib > 0
    assert measured.times_faster == measured.theirs.seconds / measured.nightjar.seconds
    assert measured.times_faster_with_encoding > measured.times_faster


def test_a_data_sets_positives_are_gathered_from_all_splits(beir, base_folder) -> None:
    workload = beir_workload(beir, 5, base_folder)
    assert (workload.questions, workload.positives) == (["Which number?"], [[1, 2]])
    assert workload.encoding.n_texts == 4
    assert workload.passage_vectors.shape == (3, 384)


def test_a_data_set_without_right_passages_is_refused(beir, base_folder) -> None:
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nr\tp1\t0\n")
    (beir / "qrels" / "train.tsv").unlink()
    with pytest.raises(TooLittleDataError, match="no question with a right passage"):
        beir_workload(beir, 5, base_folder)


def test_handed_vectors_are_those_of_the_texts() -> None:
    handed = PrecomputedEncoder(object(), ["a", "b"], np.eye(2, dtype=np.float32), ["c"], np.ones((1, 2), np.float32))
    assert handed.encode_document(["b", "a"], batch_size=32).tolist() == [[0, 1], [1, 0]]
    assert handed.encode_query(["c"]).tolist() == [[1, 1]]
