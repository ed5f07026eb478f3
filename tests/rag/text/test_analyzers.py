"""What BM25 counts of a text: words, stems, and pairs of characters, by language."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.index.bm25 import Bm25Index
from rag.text.analyzers import (
    DETECTED_LANGUAGES,
    STEMMED_LANGUAGES,
    bm25_terms,
    detect_language,
    detect_question_language,
    stop_words,
)
from rag.text.stop_words import STOP_WORDS
from rag.text.tokenize import tokenize


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
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("", []),
    ],
)
def test_words_are_cut_as_people_write_them(text, words):
    assert tokenize(text) == words


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Essential workers can apply for a test at any time.", "en"),
        ("Die Gebühr für einen Reisepass wird online bezahlt.", "de"),
        ("La tarifa del pasaporte se paga por internet.", "es"),
        ("Les frais de passeport sont payés en ligne.", "fr"),
        ("护照费用在网上支付。", "zh"),
        ("パスポートの料金はオンラインで支払います。", "ja"),
        ("ค่าธรรมเนียมหนังสือเดินทางชำระออนไลน์", "th"),
        ("Opening fees", "en"),
        ("Kontakt", "en"),
        ("12 – 14 (3.5)", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_text_is_told(text, language):
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "applications", "application"),
        ("de", "Gebühren", "Gebühr"),
        ("es", "pasaportes", "pasaporte"),
        ("fr", "écoles", "école"),
        ("ru", "паспорта", "паспорт"),
    ],
)
def test_forms_of_a_word_share_a_stem_but_not_the_word(language, one, other):
    assert len(set(bm25_terms(one, language)) & set(bm25_terms(other, language))) == 1
    assert bm25_terms(one, language)[1] == "=" + one.lower()


def test_a_language_without_a_stemmer_keeps_its_words():
    assert bm25_terms("hộ chiếu", "vi") == ["hộ", "chiếu", "=hộ", "=chiếu"]
    assert bm25_terms("hộ chiếu", "") == bm25_terms("hộ chiếu", "vi")


def test_stop_words_are_those_of_the_language_and_english_ones():
    assert bm25_terms("der Pass und the fee", "de") == ["pass", "fee", "=pass", "=fee"]
    assert "der" in bm25_terms("der Pass", "en")
    assert stop_words("vi") == stop_words("en") < stop_words("de")


def test_our_stop_words_are_those_that_bm25s_has_copied_too():
    """Two copies of one source, so that neither lost a word."""
    import bm25s.stopwords

    names = {"da": "DANISH", "de": "GERMAN", "es": "SPANISH", "fr": "FRENCH", "it": "ITALIAN", "nl": "DUTCH"}
    names |= {"no": "NORWEGIAN", "pt": "PORTUGUESE", "ru": "RUSSIAN", "sv": "SWEDISH", "tr": "TURKISH"}
    assert {
        language: frozenset(getattr(bm25s.stopwords, f"STOPWORDS_{name}")) for language, name in names.items()
    } == STOP_WORDS


@pytest.mark.parametrize(
    ("text", "grams"),
    [
        ("東京都", ["東", "京", "都", "東京", "京都"]),
        ("火", ["火"]),
        ("여권", ["여", "권", "여권"]),
        ("ไทย", ["ไ", "ท", "ย", "ไท", "ทย"]),
        ("iPhone手机15", ["iphone", "15", "=iphone", "=15", "手", "机", "手机"]),
        ("カタカナ", ["カ", "タ", "カ", "ナ", "カタ", "タカ", "カナ"]),
    ],
)
def test_scripts_without_spaces_give_characters_and_pairs(text, grams):
    assert bm25_terms(text, "zh") == grams


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=40), language=st.sampled_from(sorted(STEMMED_LANGUAGES | {"zh", ""})))
def test_any_text_has_a_language_and_terms_that_are_not_empty(text, language):
    """Lone surrogates, marks without a letter, and letters of no language included."""
    assert detect_language(text) in DETECTED_LANGUAGES | {""}
    assert all(term.removeprefix("=") for term in bm25_terms(text, language))


def test_a_question_is_read_in_the_likeliest_language_of_the_library():
    assert detect_question_language("Was kostet der Reisepass?", {"en": 99, "de": 1}) == "de"
    assert detect_question_language("What does a passport cost?", {"en": 1, "de": 99}) == "en"
    assert detect_question_language("two owls", {"en": 999, "pl": 1}) == "en", "by the letters alone it were Polish"
    assert detect_question_language("What does a passport cost?", {"de": 1}) == "de", "there is no other"
    assert detect_question_language("What does a passport cost?", {}) == ""


def test_each_language_of_a_mixed_library_is_found_by_another_form_of_its_word():
    texts = [
        "The fees of a passport are paid online at any time.",
        "Die Gebühren für einen Reisepass werden online bezahlt.",
        "護照的費用在網上支付，東京都也一樣。",
        "Nothing of the kind is told on this page about owls.",
        "Hier steht etwas anderes, nämlich über die Eulen im Wald.",
    ]
    lexical = Bm25Index.build(["en", "de", "zh", "owls", "Eulen"], texts)
    found = [lexical.scores(question).argmax() for question in ("What is the fee?", "Welche Gebühr?", "東京")]
    assert found == [0, 1, 2]
