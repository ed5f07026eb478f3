"""A text → the terms that BM25 counts, by the text's language: stems, whole words, and pairs of characters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from rag.text.stop_words import STOP_WORDS, STOP_WORDS_VERSION
from rag.text.tokenize import ENGLISH_STOP_WORDS, TOKENIZER_VERSION, all_words

_SNOWBALL = """
    ar ca cs da de el en eo es et eu fa fi fr ga hi hu hy id it lt ne nl no pl pt ro ru sr sv ta tr
"""
_OTHERS = "be bg bn he ja km ko lo lv mk sk sl th uk ur vi zh"
STEMMED_LANGUAGES = frozenset(_SNOWBALL.split())
"""The languages that have a stemmer, by ISO 639-1."""
DETECTED_LANGUAGES = STEMMED_LANGUAGES.union(
    _OTHERS.split()
)  # among all 130 languages, a few English questions were detected as Bikol or Nigerian Pidgin; among these, none

SEEN = 400  # characters of a text that its language is detected from, in 0.1 ms
SURE = 0.5  # of texts of two words in English, German or Spanish three in five are below, and half of those are wrong
_LETTER = re.compile(r"[^\W\d_]")

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々〆]+"


def detect_language(text: str) -> str:
    """Detects the language that a text begins in, by ISO 639-1; English if it is too short, empty without letters.

    >>> detect_language("Die Gebühr für den Reisepass wird online bezahlt.")
    'de'
    >>> detect_language("Fees"), detect_language("300 – 400")
    ('en', '')
    """
    start = text[:SEEN]
    if not _LETTER.search(start):
        return ""
    language, probability = _detector().classify(start)
    return str(language) if probability >= SURE else "en"


def detect_question_language(text: str, n_passages: Mapping[str, int]) -> str:
    """Returns the library's language that a question is in: the most probable, times the root of the language's share.

    So a short question is taken for the language of the library, not for that of three odd passages. Empty if the
    library has no language.

    >>> detect_question_language("Was kostet ein Reisepass?", {"de": 2, "en": 50})
    'de'
    >>> detect_question_language("Fees", {"nl": 2, "en": 50})
    'en'
    """
    if len(n_passages) < 2:
        return next(iter(n_passages), "")
    chances = {str(language): float(chance) for language, chance in _detector().rank(text[:SEEN])}
    return max(n_passages, key=lambda language: chances.get(language, 0.0) * math.sqrt(n_passages[language]))


def bm25_terms(text: str, language: str) -> list[str]:
    """Returns the terms that BM25 counts: each word's stem and, marked by "=", the word itself.

    Stop words are left out, English ones from every language. Runs of a script that writes no spaces give their
    characters and pairs of characters, whatever the language.

    >>> bm25_terms("Who pays the fees?", "en")
    ['pay', 'fee', '=pays', '=fees']
    >>> bm25_terms("東京都 map", "ja")
    ['map', '=map', '東', '京', '都', '東京', '京都']
    """
    found = all_words(text)
    grams: list[str] = []
    if not text.isascii():
        found, grams = _spaced(found)
    stop = stop_words(language)
    kept = [word for word in found if word not in stop]
    return [*_stems(kept, language), *("=" + word for word in kept), *grams]


@lru_cache
def stop_words(language: str) -> frozenset[str]:
    """Returns the English stop words, and those of the language if there is a list."""
    return ENGLISH_STOP_WORDS | STOP_WORDS.get(language, frozenset())


def analyzer_versions() -> list[str]:
    """Names everything that decides the terms of a text; an index with other versions is built again."""
    libraries = (f"{name} {version(name)}" for name in ("PyStemmer", "py3langid"))
    return ["tokens", TOKENIZER_VERSION, "stop words", STOP_WORDS_VERSION, *libraries]


def _stems(found: list[str], language: str) -> list[str]:
    if language not in STEMMED_LANGUAGES:
        return found
    import Stemmer

    stems: list[str] = Stemmer.Stemmer(language).stemWords(
        found
    )  # a new one for each call: threads must not share a stemmer
    return stems


def _spaced(found: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns the words of scripts with spaces, and the characters and pairs of characters of the others."""
    import regex

    spaced: list[str] = []
    grams: list[str] = []
    for word in found:
        runs = regex.findall(_UNSPACED, word)
        if not runs:
            spaced.append(word)
            continue
        spaced += [piece for piece in regex.split(_UNSPACED, word) if piece]
        for run in runs:
            grams += [*run, *(run[start : start + 2] for start in range(len(run) - 1))]
    return spaced, grams


@lru_cache
def _detector() -> Any:
    """py3langid, whose model takes half a second to read."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    detector.set_languages(DETECTED_LANGUAGES)
    return detector
