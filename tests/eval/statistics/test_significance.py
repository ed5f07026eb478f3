"""Differences, intervals and p-values that can be checked by hand or by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from eval.statistics.clustered_intervals import clustered_interval
from eval.statistics.proportions import mcnemar_test, wilson_interval
from eval.statistics.significance import (
    benjamini_hochberg,
    compare_paired,
    holm_correction,
    mean_interval,
    randomisation_p,
)
from rag.errors import TooLittleDataError


def test_equal_retrievers_differ_by_nothing_with_certainty() -> None:
    result = compare_paired([0.2, 0.9, 0.4], [0.2, 0.9, 0.4])
    assert (result.difference, result.low, result.high, result.p) == (0.0, 0.0, 0.0, 1.0)
    assert (result.wins, result.ties, result.losses, result.detectable) == (0, 3, 0, 0.0)


def test_rounding_is_a_tie_and_not_a_win() -> None:
    result = compare_paired([0.3, 0.3, 0.5], [0.1 + 0.2, 0.3, 0.5])
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
    forth, back = compare_paired(before, after), compare_paired(after, before)
    assert forth.difference == pytest.approx(-back.difference)
    assert (forth.wins, forth.losses) == (back.losses, back.wins)
    assert forth.p == pytest.approx(back.p, abs=0.02)


def test_same_seed_gives_the_same_figures() -> None:
    rng = np.random.default_rng(7)
    before, after = rng.random(80), rng.random(80)
    assert compare_paired(before, after, seed=3) == compare_paired(before, after, seed=3)


def test_detectable_difference_is_2_8_standard_errors() -> None:
    # Differences 0.1 and 0.3: sd (n - 1) = 0.141421, so 2.8 · 0.141421 / √2 = 0.28.
    assert compare_paired([0.0, 0.0], [0.1, 0.3]).detectable == pytest.approx(0.28)


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
    assert holm_correction([0.02, 0.01, 0.5]) == pytest.approx([0.04, 0.03, 0.5])
    assert holm_correction([0.4, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm_correction([0.9, 0.9]) == [1.0, 1.0]
    assert holm_correction([]) == []


def test_bca_holds_the_mean_of_skewed_values_more_often_than_the_percentiles_do() -> None:
    """What BCa is for: 30 values of which a few are large, as reciprocal ranks of a weak retriever are."""
    from scipy import stats

    rng = np.random.default_rng(17)
    n_bca, n_percentile = 0, 0
    for _ in range(150):
        values = rng.exponential(1.0, 30) ** 2  # its mean is 2
        interval = mean_interval(values)
        plain = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=999, rng=np.random.default_rng(1))
        n_bca += interval.low <= 2.0 <= interval.high
        n_percentile += plain.confidence_interval.low <= 2.0 <= plain.confidence_interval.high
    assert n_bca > n_percentile


# ---- slices, shares, and documents


def test_benjamini_hochberg_multiplies_by_the_number_of_tests_over_the_rank() -> None:
    # Ranks 1, 2, 3 of 3: .01 · 3, .02 · 3/2, .5 · 3/3; the second may not exceed the third nor fall below the first.
    assert benjamini_hochberg([0.5, 0.01, 0.02]) == pytest.approx([0.5, 0.03, 0.03])
    assert benjamini_hochberg([]) == []


def test_wilson_agrees_with_the_published_example() -> None:
    # Newcombe (1998), Statistics in Medicine 17, Table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (k, n), (low, high) in published.items():
        share = wilson_interval(k, n)
        assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


def test_share_of_nothing_says_nothing() -> None:
    assert (wilson_interval(0, 0).low, wilson_interval(0, 0).high, wilson_interval(0, 0).value) == (0.0, 1.0, 0.0)
    assert wilson_interval(7, 7).high == 1.0


def test_mcnemar_counts_only_the_questions_that_changed() -> None:
    # 1 lost and 7 gained of 8: 2 · (1 + 8) / 2**8 = .0703125; a hundred more that stayed change nothing.
    before = [True] + [False] * 7
    after = [False] + [True] * 7
    assert mcnemar_test(before, after).p == pytest.approx(0.0703125)
    assert mcnemar_test(before + [True] * 100, after + [True] * 100).p == pytest.approx(0.0703125)
    assert mcnemar_test([True, False], [True, False]).p == 1.0


def test_questions_of_one_document_that_move_together_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    values = np.repeat(rng.normal(0.0, 1.0, 20), 10)  # twenty documents, ten questions each, all ten alike
    alone, together = mean_interval(values), clustered_interval(values, np.repeat(np.arange(20), 10).tolist())
    assert together.n == 20
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_few_documents_are_not_resampled() -> None:
    with pytest.raises(TooLittleDataError, match="it takes 10 or more"):
        clustered_interval([0.0, 1.0], ["a", "b"])
