"""BM25 over the passages: rank_bm25's own scores, quickly, and kept between starts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

import rag.index.bm25_files
from rag.index.bm25 import Bm25Index
from rag.records import sha256_of
from rag.text.analyzers import bm25_terms, detect_language

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


class Shelf:
    """A library of a few pages, which notes what is read of it."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.read_ids: list[str] = []

    @property
    def wanted(self) -> dict[str, str]:
        return {passage_id: sha256_of(text) for passage_id, text in sorted(self.texts.items())}

    def read(self, passage_ids: Sequence[str]) -> Iterable[Page]:
        for passage_id in passage_ids:
            if passage_id in self.texts:
                self.read_ids.append(passage_id)
                yield Page(passage_id, self.texts[passage_id])


def shelf(*texts: str) -> Shelf:
    return Shelf({f"p{number}": text for number, text in enumerate(texts)})


def opened(folder: Path, library: Shelf, before: Bm25Index | None = None) -> Bm25Index:
    return Bm25Index.open(folder, library.wanted, library.read, before)


def oracle(texts: Iterable[str]) -> BM25Okapi:
    return BM25Okapi([bm25_terms(text, detect_language(text)) for text in texts])


def built(texts: list[str]) -> Bm25Index:
    return Bm25Index.build([f"p{number}" for number in range(len(texts))], texts)


def random_texts(seed: int, n_texts: int, n_words: int) -> list[str]:
    """Texts whose words follow Zipf's law, so that some stand in nearly every text."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(n_words)]
    weights = [1 / (rank + 1) for rank in range(n_words)]
    return [" ".join(draw.choices(words, weights, k=draw.randint(0, 30))) for _ in range(n_texts)]


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_rank_bm25_on_random_texts(seed):
    texts = random_texts(seed, n_texts=60, n_words=[3, 20, 200][seed % 3])
    reference = oracle(texts)
    lexical = built(texts)
    for question in [*random_texts(seed + 100, n_texts=30, n_words=220), "w0 w0 w1 w0", "", "never seen"]:
        np.testing.assert_allclose(
            lexical.scores(question), reference.get_scores(lexical.query_terms(question)), rtol=0, atol=1e-9
        )


def test_scores_are_those_of_rank_bm25_on_real_sentences():
    reference = oracle(PAGES)
    lexical = built(PAGES)
    for question in ("How do I apply for a test?", "symptoms at home", "passport fee, passport FEE!", "Wages"):
        expected = reference.get_scores(lexical.query_terms(question))
        assert expected.any()
        np.testing.assert_allclose(lexical.scores(question), expected, rtol=0, atol=1e-9)


def test_a_word_in_most_passages_gets_the_floor_of_rank_bm25():
    """Its inverse document frequency would be negative; rank_bm25 puts a quarter of the mean idf in its place.

    Three passages of one word each: idf(cat) = ln(1.5 / 2.5) < 0, idf(dog) = ln(2.5 / 1.5) = 0.5108; their mean is 0,
    and so is the floor. A fourth, "owl", gives idf(cat) = 0, idf(dog) = idf(owl) = ln(3.5 / 1.5) = 0.8473. Each counts
    twice: as a stem and as a word.
    """
    assert built(["cat", "cat", "dog"]).scores("cat").tolist() == [0, 0, 0]
    np.testing.assert_allclose(built(["cat", "cat", "dog", "owl"]).scores("cat dog"), [0, 0, 2 * 0.8473, 0], atol=1e-4)


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
    lexical = Bm25Index.build([], [])
    assert lexical.scores("anything").shape == (0,)
    assert lexical.score_matrix(["anything"]).shape == (1, 0)


def test_passages_without_a_single_word_score_zero():
    """rank_bm25 divides by zero on them."""
    assert built(["", "…", "of the"]).scores("anything").tolist() == [0.0, 0.0, 0.0]


# ---- changing


WORDS = ("fee", "fees", "passport", "test", "owl", "the", "Gebühr", "Gebühren", "und", "東京都", "はい", "9", "…")
texts_of_words = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
changes = st.lists(
    st.dictionaries(st.sampled_from("abcdefghijklmnop"), texts_of_words | st.none(), max_size=4), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(first=st.dictionaries(st.sampled_from("abcdefghijklmnop"), texts_of_words), changes=changes)
def test_after_any_changes_the_scores_are_those_of_rank_bm25_over_what_is_left(first, changes):
    """Each change puts new texts, replaces texts, and takes some out; rank_bm25 is built anew after each."""
    library = Shelf(dict(first))
    lexical = Bm25Index.build([], []).updated(library.wanted, library.read)
    for change in [{}, *changes]:
        library.texts = {
            passage_id: text for passage_id, text in {**library.texts, **change}.items() if text is not None
        }
        lexical = lexical.updated(library.wanted, library.read)
        assert lexical.passage_ids == sorted(library.texts)
        texts = [library.texts[passage_id] for passage_id in lexical.passage_ids]
        known = any(bm25_terms(text, detect_language(text)) for text in texts)
        for question in (*WORDS, "fee fee passport", "Gebühr 東京 owl"):
            expected = oracle(texts).get_scores(lexical.query_terms(question)) if known else np.zeros(len(texts))
            np.testing.assert_allclose(lexical.scores(question), expected, rtol=0, atol=1e-9)


def test_only_new_and_changed_texts_are_read(tmp_path):
    library = shelf(*random_texts(1, n_texts=40, n_words=30))
    lexical = opened(tmp_path, library)
    assert sorted(library.read_ids) == sorted(library.texts)
    library.read_ids.clear()
    library.texts |= {"p7": "an owl", "new": "an owl and another owl"}
    del library.texts["p8"]
    lexical = opened(tmp_path, library, lexical)
    assert sorted(library.read_ids) == ["new", "p7"]
    assert set(np.flatnonzero(lexical.scores("owl"))) == {
        lexical.passage_ids.index(passage_id) for passage_id in ("new", "p7")
    }


def test_a_new_file_leaves_the_large_block_on_disk_as_it_is(tmp_path):
    library = shelf(*random_texts(1, n_texts=40, n_words=30))
    before = opened(tmp_path, library)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*-*")}
    library.texts |= {"new1": "an owl", "new2": "two owls"}
    opened(tmp_path, library, before)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*-*")}
    assert len(after) == 4
    assert written.items() <= after.items()
    assert Bm25Index.load(tmp_path).scores("owl").any()


def test_what_grew_too_large_for_a_tail_is_joined(tmp_path):
    library = shelf(*random_texts(1, n_texts=40, n_words=30))
    lexical = opened(tmp_path, library)
    for number in range(8):
        library.texts[f"new{number}"] = f"owl number{number}"
        lexical = opened(tmp_path, library, lexical)
        assert len(list(tmp_path.glob("counts-*"))) == (2 if number % 6 < 5 else 1)
    np.testing.assert_allclose(
        lexical.scores("owl"),
        oracle(library.texts[passage_id] for passage_id in lexical.passage_ids).get_scores(bm25_terms("owl", "en")),
    )


def test_a_removed_text_leaves_no_word_of_its_own_behind(tmp_path):
    library = shelf(*PAGES, "xylophone lessons")
    lexical = opened(tmp_path, library)
    assert any(b"xylophon" in path.read_bytes() for path in tmp_path.iterdir())
    del library.texts["p5"]
    opened(tmp_path, library, lexical)
    assert not any(b"xylophon" in path.read_bytes() for path in tmp_path.iterdir())


def test_the_one_before_a_change_goes_on_answering_as_before():
    library = shelf(*PAGES)
    before = Bm25Index.build([], []).updated(library.wanted, library.read)
    expected = before.scores("passport fee").tolist()
    library.texts = {"p3": "owl", "p9": "passport owl"}
    before.updated(library.wanted, library.read)
    assert before.scores("passport fee").tolist() == expected
    assert before.scores("owl").tolist() == [0.0] * 5


def test_a_passage_that_went_between_listing_and_reading_is_left_out():
    library = shelf(*PAGES)
    wanted = library.wanted
    del library.texts["p2"]
    assert Bm25Index.build([], []).updated(wanted, library.read).passage_ids == ["p0", "p1", "p3", "p4"]


# ---- keeping


def test_a_saved_library_is_loaded_without_reading_its_passages(tmp_path):
    library = shelf(*PAGES)
    first = opened(tmp_path / "lexical", library)
    library.read_ids.clear()
    second = opened(tmp_path / "lexical", library)
    assert library.read_ids == []
    assert second.passage_ids == ["p0", "p1", "p2", "p3", "p4"]
    assert second.scores("passport test").tolist() == first.scores("passport test").tolist()


def test_a_library_of_two_blocks_is_loaded_as_it_was(tmp_path):
    library = shelf(*random_texts(1, n_texts=40, n_words=30))
    lexical = opened(tmp_path, library, opened(tmp_path, library))
    library.texts["a new one"] = "Die Gebühren für den Reisepass und w3"
    lexical = opened(tmp_path, library, lexical)
    library.read_ids.clear()
    written = (tmp_path / "manifest.json").stat().st_mtime_ns
    loaded = opened(tmp_path, library)
    assert library.read_ids == []
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == written, "nothing had changed"
    assert loaded.passage_ids == lexical.passage_ids == sorted(library.texts)
    for question in ("w1 w2 w3", "Welche Gebühr?", "w3"):
        assert loaded.scores(question).tolist() == lexical.scores(question).tolist()


def test_counts_of_another_tokenizer_are_counted_anew(tmp_path, monkeypatch):
    """After an upgrade of ours, of the stemmers, or of what tells languages."""
    library = shelf(*PAGES)
    opened(tmp_path, library)
    library.read_ids.clear()
    monkeypatch.setattr(rag.index.bm25_files, "analyzer_versions", lambda: ["tokens", "another"])
    assert Bm25Index.load(tmp_path) is None
    opened(tmp_path, library)
    assert len(library.read_ids) == 5
    assert Bm25Index.load(tmp_path) is not None
    assert len(list(tmp_path.iterdir())) == 3, "the files of the old one go"


def test_scores_of_an_older_release_are_counted_anew(tmp_path):
    """Its manifest named one state of the library in place of the makers of terms."""
    (tmp_path / "manifest.json").write_text(json.dumps({"fingerprint": "9c07", "sha256": {"scores-9c07.npz": "1f"}}))
    (tmp_path / "scores-9c07.npz").write_bytes(b"old")
    assert opened(tmp_path, shelf(*PAGES)).scores("passport").argmax() == 3
    assert not (tmp_path / "scores-9c07.npz").exists()


@pytest.mark.parametrize("damage", ["truncate", "remove", "alter"])
@pytest.mark.parametrize("pattern", ["counts-*", "words-*", "manifest.json"])
def test_damaged_files_are_counted_anew(tmp_path, pattern, damage):
    library = shelf(*PAGES)
    opened(tmp_path, library)
    (path,) = tmp_path.glob(pattern)
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        middle = len(content) // 2
        altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(content[:middle] if damage == "truncate" else altered)
    assert Bm25Index.load(tmp_path) is None
    again = opened(tmp_path, library)
    assert again.scores("passport").argmax() == 3
    assert Bm25Index.load(tmp_path) is not None


def test_a_folder_that_cannot_be_written_costs_a_warning_not_the_search(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    lexical = opened(tmp_path / "file" / "lexical", shelf(*PAGES))
    assert lexical.scores("passport").argmax() == 3
    assert "can't be saved" in caplog.text


def test_what_was_killed_while_saving_does_not_exist(tmp_path):
    """The manifest comes last: files that it does not name are nobody's."""
    opened(tmp_path, shelf(*PAGES))
    (tmp_path / "manifest.json").rename(tmp_path / "manifest.json.123.part")
    assert Bm25Index.load(tmp_path) is None


def test_ids_that_utf_8_cannot_hold_survive_saving(tmp_path):
    opened(tmp_path, Shelf({"p\ud800": "xylophone", "p1": "owl", "p2": "fox"}))
    loaded = Bm25Index.load(tmp_path)
    assert loaded is not None
    assert "p\ud800" in loaded.passage_ids


def test_ids_may_be_noted_while_the_texts_are_read():
    ids: list[str] = []

    def texts() -> Iterator[str]:
        for number, text in enumerate(PAGES):
            ids.append(f"p{number}")
            yield text

    assert Bm25Index.build(ids, texts()).passage_ids == ["p0", "p1", "p2", "p3", "p4"]
    with pytest.raises(ValueError, match="longer"):
        Bm25Index.build(["p0", "p1"], ["one text"])


def test_a_library_is_read_one_passage_at_a_time(tmp_path):
    """So that building holds the statistics, never the texts as well."""
    alive: list[int] = []

    class Counted(Page):
        def __del__(self) -> None:
            alive.append(-1)

    def stream(passage_ids: Sequence[str]) -> Iterator[Counted]:
        for number in range(50):
            assert sum(alive) <= 2, "earlier passages are still held"
            alive.append(1)
            yield Counted(f"p{number}", f"word{number} shared")

    wanted = {f"p{number}": sha256_of(f"word{number} shared") for number in range(50)}
    Bm25Index.open(tmp_path, wanted, stream)
    assert alive.count(1) == 50
