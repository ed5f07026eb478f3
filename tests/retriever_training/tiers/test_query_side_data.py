"""What tiers 1 and 2 learn from: people's questions, and the library's own beside them."""

from __future__ import annotations

import numpy as np
import pytest

from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.judgments.snapshot import JudgedQuestions
from retriever_training.tiers.query_side_data import (
    LEXICAL_SHARE,
    LEXICAL_SHARE_AFTER_TRAINING,
    QuerySideData,
    join_questions,
    query_side_rows,
    whole_passage_questions,
)

TEXTS = (
    "Oats are sown in early spring. They need twelve weeks of cool weather before they can be harvested and dried.",
    "Barley ripens before wheat does. Its grain is malted for beer, and much of the rest is fed to cattle and pigs.",
)
PASSAGES = [
    Passage(
        passage_id=f"p{row}",
        document_id=f"d{row}",
        source=f"{row}.md",
        title="",
        heading="",
        text=text,
        start=0,
        end=len(text),
    )
    for row, text in enumerate(TEXTS)
]


def test_a_library_asks_for_its_passages_by_their_first_sentences() -> None:
    own = whole_passage_questions(PASSAGES, seed=13)
    assert own.questions == ("Oats are sown in early spring.", "Barley ripens before wheat does.")
    assert [set(right) for right in own.right] == [{0}, {1}]


def test_people_come_first_and_their_words_are_not_asked_twice() -> None:
    people = JudgedQuestions(questions=("barley ripens before wheat does",), right=({1: 0.5},), rejected=((0,),))
    every = join_questions(people, whole_passage_questions(PASSAGES, seed=13))
    assert every.questions == ("barley ripens before wheat does", "Oats are sown in early spring.")
    assert every.right[0] == {1: 0.5}


def test_passages_that_say_the_same_as_the_right_one_are_no_negatives() -> None:
    passages = np.array([[1, 0, 0], [0.99, 0.141, 0], [0, 1, 0]], np.float32)
    lexical = Bm25Index.build(["a", "b", "c"], ["oats", "oats again", "barley"])
    rows = query_side_rows(
        JudgedQuestions(questions=("q",), right=({0: 1.0},), rejected=((),)), passages[:1], passages, 13, lexical, 0.1
    )
    assert rows.masked[0].tolist() == [0, 1]


@pytest.mark.parametrize(("shown_by_meaning", "by_base"), [("the right one", 0.25), ("another one", 1.0)])
def test_training_starts_from_how_much_words_count_with_the_base(shown_by_meaning: str, by_base: float) -> None:
    """Each question is one word of its passage; its vector is near to that passage, or nearer to another one."""
    words = [f"{first}{second}ite" for first in "bcdfg" for second in "aeiou"]
    library = [
        Passage(
            passage_id=f"p{row}",
            document_id=f"d{row}",
            source="",
            title="",
            heading="",
            text=word,
            start=0,
            end=len(word),
        )
        for row, word in enumerate(words)
    ]
    texts = [passage.encoded_text for passage in library]
    passages = np.eye(len(words), dtype=np.float32)
    near = passages if shown_by_meaning == "the right one" else np.roll(passages, 1, axis=0)
    asked = dict(zip(words, 0.7 * near + np.sqrt(0.51 / len(words)).astype(np.float32), strict=True))
    dev = JudgedQuestions(
        questions=tuple(words), right=tuple({row: 1.0} for row in range(len(words))), rejected=((),) * len(words)
    )
    side = QuerySideData.between(
        dev,
        dev,
        library,
        Bm25Index.build([passage.passage_id for passage in library], texts),
        lambda questions: np.stack([asked[question] for question in questions]),
        passages,
        default_weight=0.25,
        seed=13,
    )
    assert side.default_lexical_weight == LEXICAL_SHARE_AFTER_TRAINING * by_base
    _, bonus = side.rows.lexical[0]
    assert bonus.max() == pytest.approx(LEXICAL_SHARE * by_base)
