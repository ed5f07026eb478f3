"""Differences, intervals and p-values that can be checked by hand or by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from eval.statistics import holm, mean_interval, paired, randomisation_p
from rag.errors import TooLittleDataError


def test_equal_retrievers_differ_by_nothing_with_certainty() -> None:
    result = paired([0.2, 0.9, 0.4], [0.2, 0.9, 0.4])
    assert (result.difference, result.low, result.high, result.p) == (0.0, 0.0, 0.0, 1.0)
    assert (result.wins, result.ties, result.losses, result.detectable) == (0, 3, 0, 0.0)


def test_rounding_is_a_tie_and_not_a_win() -> None:
    result = paired([0.3, 0.3, 0.5], [0.1 + 0.2, 0.3, 0.5])
    assert (result.wins, result.ties, result.p) == (0, 3, 1.0)


def test_p_of_few_questions_is_exact() -> None:
    # Of the 2**5 signs of five equal gains, only all + and all - are as extreme: 2/32.
    assert randomisation_p([0.1] * 5) == pytest.approx(2 / 32)
    # 0.3 + 0.2 - 0.1 = 0.4: as extreme are ±(+++), ±(++-): 4 of 8.
    assert randomisation_p([0.3, 0.2, -0.1]) == pytest.approx(4 / 8)


def test_one_question_that_differs_proves_nothing() -> None:
    assert randomisation_p([0.0, 0.0, 1.0]) == 1.0


def test_swapping_the_two_turns_the_signs() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.random(60), rng.random(60)
    forth, back = paired(before, after), paired(after, before)
    assert forth.difference == pytest.approx(-back.difference)
    assert (forth.wins, forth.losses) == (back.losses, back.wins)
    assert forth.p == pytest.approx(back.p, abs=0.02)


def test_same_seed_gives_the_same_figures() -> None:
    rng = np.random.default_rng(7)
    before, after = rng.random(80), rng.random(80)
    assert paired(before, after, seed=3) == paired(before, after, seed=3)


def test_detectable_difference_is_2_8_standard_errors() -> None:
    # Differences 0.1 and 0.3: sd (n - 1) = 0.141421, so 2.8 · 0.141421 / √2 = 0.28.
    assert paired([0.0, 0.0], [0.1, 0.3]).detectable == pytest.approx(0.28)


def test_interval_holds_the_true_mean_about_19_times_in_20() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(100):
        interval = mean_interval(rng.exponential(1.0, 60))
        covered += interval.low <= 1.0 <= interval.high
    assert 88 <= covered <= 99


def test_chance_alone_is_significant_about_once_in_20() -> None:
    rng = np.random.default_rng(13)
    significant = sum(randomisation_p(rng.choice([-1.0, 1.0], 40) * rng.random(40)) < 0.05 for _ in range(100))
    assert 1 <= significant <= 11


@pytest.mark.parametrize("values", [[0.0] * 29 + [1.0], [0.0, 1.0], [0.0, 1e-300], [0.1 + 0.2, 0.3, 0.3]])
def test_interval_of_almost_equal_values_is_finite(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval.low <= interval.mean <= interval.high


def test_one_question_has_no_interval() -> None:
    with pytest.raises(TooLittleDataError, match="needs two or more"):
        mean_interval([0.5])


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_falls() -> None:
    assert holm([0.02, 0.01, 0.5]) == pytest.approx([0.04, 0.03, 0.5])
    assert holm([0.4, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
