"""How much of a text's meaning another text covers."""

from __future__ import annotations

from itertools import permutations

from rag.text.term_coverage import coverage


def test_coverage_is_the_same_to_the_last_bit_in_whatever_order_words_are_added() -> None:
    """The order of a set differs from process to process, and the shortest of equal stretches is cited."""
    words = ("loan", "bank", "fee")
    shares = {
        coverage([*words, "rate"], words, dict(zip(words, weights, strict=True)) | {"rate": 0.4})
        for weights in permutations((0.1, 0.2, 0.3))
    }
    assert shares == {0.6}
