"""What tiers 1 and 2 learn from: people's questions, and the library's own beside them."""

from __future__ import annotations

import numpy as np
import pytest

from rag.index.bm25 import Lexical
from rag.records import Passage
from retriever_training.judgments.snapshot import Asked
from retriever_training.tiers.query_side_data import (
    AFTER_TRAINING,
    LEXICAL_SHARE,
    QuerySide,
    joined,
    own_questions,
    training_rows,
)

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


@pytest.mark.parametrize(("shown_by_meaning", "by_base"), [("the right one", 0.25), ("another one", 1.0)])
def test_training_starts_from_how_much_words_count_with_the_base(shown_by_meaning: str, by_base: float) -> None:
    """Each question is one word of its passage; its vector is near to that passage, or nearer to another one."""
    words = [f"{first}{second}ite" for first in "bcdfg" for second in "aeiou"]
    library = [Passage(f"p{row}", f"d{row}", "", "", "", word, 0, len(word)) for row, word in enumerate(words)]
    texts = [passage.encoded_text for passage in library]
    passages = np.eye(len(words), dtype=np.float32)
    near = passages if shown_by_meaning == "the right one" else np.roll(passages, 1, axis=0)
    asked = dict(zip(words, 0.7 * near + np.sqrt(0.51 / len(words)).astype(np.float32), strict=True))
    dev = Asked(tuple(words), tuple({row: 1.0} for row in range(len(words))), ((),) * len(words))
    side = QuerySide.between(
        dev, dev, library, Lexical.build([passage.passage_id for passage in library], texts),
        lambda questions: np.stack([asked[question] for question in questions]), passages, default_weight=0.25, seed=13,
    )  # fmt: skip
    assert side.usual_weight == AFTER_TRAINING * by_base
    _, bonus = side.rows.lexical[0]
    assert bonus.max() == pytest.approx(LEXICAL_SHARE * by_base)
