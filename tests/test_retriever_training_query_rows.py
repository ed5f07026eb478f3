"""What tiers 1 and 2 learn from: people's questions, and the library's own beside them."""

from __future__ import annotations

import numpy as np

from rag.lexical import Lexical
from rag.records import Passage
from retriever_training.evidence import Asked
from retriever_training.query_rows import joined, own_questions, training_rows

TEXTS = (
    "Oats are sown in early spring. They need twelve weeks of cool weather before they can be harvested and dried.",
    "Barley ripens before wheat does. Its grain is malted for beer, and much of the rest is fed to cattle and pigs.",
)
PASSAGES = [Passage(f"p{row}", f"d{row}", f"{row}.md", "", "", text, 0, len(text)) for row, text in enumerate(TEXTS)]


def test_a_library_asks_for_its_passages_by_their_first_sentences() -> None:
    own = own_questions(PASSAGES, seed=13)
    assert own.questions == ("Oats are sown in early spring.", "Barley ripens before wheat does.")
    assert [set(right) for right in own.right] == [{0}, {1}]


def test_people_come_first_and_their_words_are_not_asked_twice() -> None:
    people = Asked(("barley ripens before wheat does",), ({1: 0.5},), ((0,),))
    every = joined(people, own_questions(PASSAGES, seed=13))
    assert every.questions == ("barley ripens before wheat does", "Oats are sown in early spring.")
    assert every.right[0] == {1: 0.5}


def test_passages_that_say_the_same_as_the_right_one_are_no_negatives() -> None:
    passages = np.array([[1, 0, 0], [0.99, 0.141, 0], [0, 1, 0]], np.float32)
    lexical = Lexical.build(["a", "b", "c"], ["oats", "oats again", "barley"])
    rows = training_rows(Asked(("q",), ({0: 1.0},), ((),)), passages[:1], passages, 13, lexical, 0.1)
    assert rows.masked[0].tolist() == [0, 1]
