"""BM25 over the passages: rank_bm25's own scores, quickly, and kept between starts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from rag.lexical import Lexical, tokenize

PAGES = [
    "Who can apply for a coronavirus test? Essential workers can apply for a test at any time.",
    "Apply for a test within three days of having symptoms.",
    "How to claim for lost wages while you isolate at home.",
    "The fee for a passport is paid online; a second passport costs the same fee.",
    "Symptoms last for days. Stay at home.",
]


@dataclass(frozen=True)
class Page:
    passage_id: str
    encoded_text: str


def pages(texts: list[str]) -> list[Page]:
    return [Page(f"p{number}", text) for number, text in enumerate(texts)]


def built(texts: list[str]) -> Lexical:
    return Lexical.build([f"p{number}" for number in range(len(texts))], texts)


def random_texts(seed: int, n_texts: int, n_words: int) -> list[str]:
    """Texts whose words follow Zipf's law, so that some stand in nearly every text."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(n_words)]
    weights = [1 / (rank + 1) for rank in range(n_words)]
    return [" ".join(draw.choices(words, weights, k=draw.randint(0, 30))) for _ in range(n_texts)]


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_rank_bm25_on_random_texts(seed):
    texts = random_texts(seed, n_texts=60, n_words=[3, 20, 200][seed % 3])
    reference = BM25Okapi([tokenize(text) for text in texts])
    lexical = built(texts)
    for question in [*random_texts(seed + 100, n_texts=30, n_words=220), "w0 w0 w1 w0", "", "never seen"]:
        np.testing.assert_allclose(
            lexical.scores(question), reference.get_scores(tokenize(question)), rtol=0, atol=1e-9
        )


def test_scores_are_those_of_rank_bm25_on_real_sentences():
    reference = BM25Okapi([tokenize(page) for page in PAGES])
    lexical = built(PAGES)
    for question in ("How do I apply for a test?", "symptoms at home", "passport fee, passport FEE!", "Wages"):
        expected = reference.get_scores(tokenize(question))
        assert expected.any()
        np.testing.assert_allclose(lexical.scores(question), expected, rtol=0, atol=1e-9)


def test_a_word_in_most_passages_gets_the_floor_of_rank_bm25():
    """Its inverse document frequency would be negative; rank_bm25 puts a quarter of the mean idf in its place.

    Three passages of one word each: idf(cat) = ln(1.5 / 2.5) < 0, idf(dog) = ln(2.5 / 1.5) = 0.5108; their mean is 0,
    and so is the floor. A fourth, "owl", gives idf(cat) = 0, idf(dog) = idf(owl) = ln(3.5 / 1.5) = 0.8473.
    """
    assert built(["cat", "cat", "dog"]).scores("cat").tolist() == [0, 0, 0]
    np.testing.assert_allclose(built(["cat", "cat", "dog", "owl"]).scores("cat dog"), [0, 0, 0.8473, 0], atol=5e-5)


def test_a_word_that_the_question_repeats_counts_as_often():
    lexical = built(PAGES)
    np.testing.assert_allclose(lexical.scores("wages wages wages"), 3 * lexical.scores("wages"))


def test_the_score_matrix_holds_one_row_of_scores_per_question():
    lexical = built(PAGES)
    questions = ["apply for a test", "nothing known here", "passport"]
    matrix = lexical.score_matrix(questions)
    assert matrix.dtype == np.float32
    assert matrix.shape == (3, 5)
    for row, question in zip(matrix, questions, strict=True):
        np.testing.assert_allclose(row, lexical.scores(question), rtol=1e-6)
    assert lexical.score_matrix([]).shape == (0, 5)


def test_a_question_without_a_known_word_scores_zero_everywhere():
    assert built(PAGES).scores("xylophone, and the what?").tolist() == [0.0] * 5


def test_an_empty_library_gives_no_scores():
    lexical = Lexical.build([], [])
    assert lexical.scores("anything").shape == (0,)
    assert lexical.score_matrix(["anything"]).shape == (1, 0)


def test_passages_without_a_single_word_score_zero():
    """rank_bm25 divides by zero on them."""
    assert built(["", "…", "of the"]).scores("anything").tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Straße, CAFÉ und Ωmega 7", ["straße", "café", "und", "ωmega", "7"]),
        ("cafe\u0301", ["café"]),
        ("you’re the company's first", ["company", "first"]),
        ("l'école", ["l", "école"]),
        ("vitamin D", ["vitamin", "d"]),
        ("max_tokens=128", ["max_tokens", "128"]),
        ("lone \ud800 surrogate", ["lone", "surrogate"]),
        ("", []),
    ],
)
def test_words_are_cut_as_people_write_them(text, words):
    assert tokenize(text) == words


def test_a_saved_library_is_loaded_without_reading_its_passages(tmp_path):
    first = Lexical.open(tmp_path / "lexical", "7", lambda: pages(PAGES))

    def unread() -> Iterator[Page]:
        raise AssertionError("read again")

    second = Lexical.open(tmp_path / "lexical", "7", unread)
    assert second.passage_ids == ["p0", "p1", "p2", "p3", "p4"]
    assert second.scores("passport test").tolist() == first.scores("passport test").tolist()


def test_another_revision_of_the_library_is_built_anew(tmp_path):
    Lexical.open(tmp_path, "7", lambda: pages(PAGES))
    grown = Lexical.open(tmp_path, "8", lambda: pages([*PAGES, "xylophone lessons"]))
    assert grown.scores("xylophone").argmax() == 5
    assert Lexical.load(tmp_path, "7") is None
    assert len(list(tmp_path.iterdir())) == 3, "the files of the old revision go"


@pytest.mark.parametrize("damage", ["truncate", "remove", "alter"])
@pytest.mark.parametrize("pattern", ["scores-*", "words-*", "manifest.json"])
def test_damaged_files_are_built_anew(tmp_path, pattern, damage):
    Lexical.open(tmp_path, "7", lambda: pages(PAGES))
    (path,) = tmp_path.glob(pattern)
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        middle = len(content) // 2
        altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(content[:middle] if damage == "truncate" else altered)
    assert Lexical.load(tmp_path, "7") is None
    again = Lexical.open(tmp_path, "7", lambda: pages(PAGES))
    assert again.scores("passport").argmax() == 3
    assert Lexical.load(tmp_path, "7") is not None


def test_a_folder_that_cannot_be_written_costs_a_warning_not_the_search(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    lexical = Lexical.open(tmp_path / "file" / "lexical", "7", lambda: pages(PAGES))
    assert lexical.scores("passport").argmax() == 3
    assert "can't be saved" in caplog.text


def test_what_was_killed_while_saving_does_not_exist(tmp_path):
    """The manifest comes last: files that it does not name are nobody's."""
    Lexical.open(tmp_path, "7", lambda: pages(PAGES))
    (tmp_path / "manifest.json").rename(tmp_path / "manifest.json.123.part")
    assert Lexical.load(tmp_path, "7") is None


def test_words_that_utf_8_cannot_hold_survive_saving(tmp_path):
    odd = Page("p\ud800", "xylophone")
    Lexical.open(tmp_path, "1", lambda: [odd, Page("p1", "owl"), Page("p2", "fox")])
    loaded = Lexical.load(tmp_path, "1")
    assert loaded is not None
    assert loaded.passage_ids[0] == "p\ud800"
    assert json.loads((tmp_path / "manifest.json").read_text())["sha256"]


def test_the_library_is_read_once_and_one_passage_at_a_time(tmp_path):
    """So that building holds the statistics, never the texts as well."""
    alive: list[int] = []

    class Counted(Page):
        def __del__(self) -> None:
            alive.append(-1)

    def stream() -> Iterator[Counted]:
        for number in range(50):
            assert sum(alive) <= 2, "earlier passages are still held"
            alive.append(1)
            yield Counted(f"p{number}", f"word{number} shared")

    Lexical.open(Path(tmp_path), "1", stream)
    assert alive.count(1) == 50
