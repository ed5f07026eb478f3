"""Nearest neighbours of many questions: exact as worked out by hand, approximate as far as it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from retriever_training.negatives.candidates import faiss_search as module
from retriever_training.negatives.candidates.faiss_search import find_nearest, recall_of


def unit_rows(n_rows: int, dim: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((n_rows, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clustered(n_rows: int, seed: int) -> NDArray[np.float32]:
    """Rows around 40 centres, as texts gather around topics."""
    near = unit_rows(40, 32, 1)[np.random.default_rng(seed).integers(40, size=n_rows)]
    rows = near + 0.5 * unit_rows(n_rows, 32, seed)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_come_first_and_equal_ones_by_row() -> None:
    passages = np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32)
    found = find_nearest(np.array([[1, 0], [0, 1]], np.float32), passages, 3)
    assert found.rows.tolist() == [[1, 3, 2], [0, 2, 1]]
    assert found.scores == pytest.approx(np.array([[1, 1, 0.6], [1, 0.8, 0]]))
    assert (found.method, found.recall) == ("exact", 1.0)


def test_exact_is_what_sorting_all_products_gives() -> None:
    questions, passages = unit_rows(50, 24, 2), unit_rows(700, 24, 3)
    found = find_nearest(questions, passages, 10)
    assert found.rows.tolist() == np.argsort(-(questions @ passages.T), axis=1)[:, :10].tolist()


def test_the_size_of_the_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    questions, passages = unit_rows(50, 24, 2), unit_rows(700, 24, 3)
    at_once = find_nearest(questions, passages, 5)
    monkeypatch.setattr(module, "QUESTIONS_PER_BLOCK", 7)
    monkeypatch.setattr(module, "MAX_GATHERED_NUMBERS", 1000)
    in_blocks = find_nearest(questions, passages, 5)
    assert (in_blocks.rows == at_once.rows).all()
    assert (in_blocks.scores == at_once.scores).all()


def test_more_than_there_are_gives_all_and_nothing_gives_nothing() -> None:
    questions, passages = unit_rows(2, 4, 2), unit_rows(3, 4, 3)
    assert sorted(find_nearest(questions, passages, 99).rows[0].tolist()) == [0, 1, 2]
    assert find_nearest(questions, passages[:0], 5).rows.shape == (2, 0)
    assert find_nearest(questions[:0], passages, 5).rows.shape == (0, 0)


def test_an_inverted_file_states_the_recall_that_it_has() -> None:
    questions, passages = clustered(600, 5), clustered(4000, 6)
    approximate = find_nearest(questions, passages, 10, "ivf")
    exact = find_nearest(questions, passages, 10, "exact")
    assert approximate.method == "ivf"
    assert approximate.recall == pytest.approx(recall_of(approximate.rows, exact.rows), abs=0.03)
    assert approximate.recall > 0.9
    again = find_nearest(questions, passages, 10, "ivf")
    assert (again.rows == approximate.rows).all()


def test_where_lists_help_too_little_the_search_is_exact_after_all() -> None:
    """Among directions that are all alike no list holds a question's neighbours."""
    found = find_nearest(unit_rows(40, 256, 5), unit_rows(1000, 256, 6), 10, "ivf")
    assert (found.method, found.recall) == ("exact", 1.0)


def test_many_pairs_are_left_to_an_inverted_file(monkeypatch: pytest.MonkeyPatch) -> None:
    questions, passages = clustered(100, 5), clustered(4000, 6)
    assert find_nearest(questions, passages, 5).method == "exact"
    monkeypatch.setattr(module, "MAX_EXACT_PAIRS", 399_999)
    assert find_nearest(questions, passages, 5).method == "ivf"


def test_faiss_and_torch_compute_in_one_process() -> None:
    """Each brings an OpenMP of its own; two that do not get on abort the process or hang."""
    import torch

    vectors = unit_rows(600, 64, 7)
    for _ in range(3):
        ours = find_nearest(vectors, vectors, 2).scores[:, 0]
        theirs = (torch.from_numpy(vectors) @ torch.from_numpy(vectors).T).max(dim=1).values.numpy()
        assert ours == pytest.approx(theirs, abs=1e-5)
