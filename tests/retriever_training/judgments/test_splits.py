"""Which questions train and which are held out: for ever, and nothing too near across the border."""

from __future__ import annotations

from itertools import product

from retriever_training.judgments.splits import (
    NEAR_DUPLICATE_JACCARD,
    find_near_held_out,
    hash_fraction,
    normalise_question,
    question_terms,
    split_of,
)

NUMBERED = [f"question number {number}" for number in range(400)]
TRAIN = [text for text in NUMBERED if split_of(text) == "train"]
GATE = [text for text in NUMBERED if split_of(text) == "gate"]
DEV = [text for text in NUMBERED if split_of(text) == "dev"]
WORDS = "where can small firms apply for the winter heating grant number"


def spelt(split: str, start: str = "") -> str:
    """A question in the same content words that belongs to *split*: stop words decide where it lands."""
    fillers = ("", "so", "and", "but", "then", "now how", "please how", "if so", "do you", "or")
    for before, after in product(fillers, fillers):
        text = normalise_question(f"{before} {start} {WORDS} {after}")
        if split_of(text) == split:
            return text
    raise AssertionError(split)


def test_a_train_question_in_the_words_of_a_held_out_one_is_left_out() -> None:
    assert find_near_held_out([spelt("train"), spelt("gate")]) == {spelt("train")}
    assert find_near_held_out([spelt("train"), spelt("dev")]) == {spelt("train")}


def test_a_dev_question_in_the_words_of_a_gate_question_is_left_out() -> None:
    assert find_near_held_out([spelt("dev"), spelt("gate")]) == {spelt("dev")}


def test_what_the_gate_holds_is_never_given_up() -> None:
    questions = [spelt("train"), spelt("dev"), spelt("gate"), *NUMBERED]
    assert not {text for text in find_near_held_out(questions) if split_of(text) == "gate"}


def test_a_new_question_moves_nothing_between_splits() -> None:
    """It may take one out of training, and never brings one in."""
    before = [spelt("train"), *NUMBERED]
    after = [*before, spelt("gate")]
    assert find_near_held_out(before) <= find_near_held_out(after)


def test_four_fifths_of_the_words_are_the_border() -> None:
    nine, eight_of_ten = "a1 b1 c1 d1 e1 f1 g1 h1 i1", "a1 b1 c1 d1 e1 f1 g1 h1 x1"
    assert len(question_terms(nine) & question_terms(eight_of_ten)) / 10 == NEAR_DUPLICATE_JACCARD
    by_split = {split_of(nine): nine, split_of(eight_of_ten): eight_of_ten}
    far = " ".join(f"w{number}" for number in range(9))
    assert find_near_held_out([nine, far]) == frozenset()
    if {"gate", "train"} == set(by_split):
        assert find_near_held_out([nine, eight_of_ten]) == {by_split["train"]}


def test_other_questions_stay() -> None:
    assert find_near_held_out(NUMBERED) == frozenset()
    assert find_near_held_out([]) == frozenset()


def test_sets_larger_than_one_piece_are_compared_whole() -> None:
    many = [f"word{number} thing{number}" for number in range(3000)]
    assert find_near_held_out([*many, spelt("train"), spelt("gate")]) == {spelt("train")}


def test_a_place_is_drawn_evenly() -> None:
    places = [hash_fraction(text) for text in NUMBERED]
    assert 0.45 < sum(places) / len(places) < 0.55
    assert len(TRAIN) > len(GATE) > len(DEV) > 0
