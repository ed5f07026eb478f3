"""A text → the words that are compared: lower case, without English stop words. No language is asked for here."""

from __future__ import annotations

import re
import unicodedata

TOKENIZER_VERSION = "3"  # of `tokenize` and of `rag.text.analyzers.terms`; an index by another version is built again

# Dropping these words from questions and passages moved BM25's nDCG@10 from .520 to .579 on feedbackqa-uk's dev
# questions (.621 to .665 on stackfaq, .616 to .651 on covidqa, .884 to .880 on newwiki). Lucene's 33 words alone gave
# .532: what helps is to drop the question words and pronouns.
_ENGLISH = """
    a about am an and are aren as at be been being but by can could couldn did didn do does doesn don for from had hadn
    has hasn have haven how i if in into is isn it its may me my no not of on or our shall should shouldn so such that
    the their them then there these they this to us was wasn we were weren what when where which who whom why will with
    would wouldn you your
"""
ENGLISH_STOP_WORDS = frozenset(_ENGLISH.split())

# Whole words; of "you're", "don't" and "company’s" only what is before the apostrophe ("l'eau" stays two words).
_WORD = r"\b(?!(?<=\w['’])(?:s|t|d|m|re|ve|ll)\b)\w+"
_ASCII_WORD = re.compile(_WORD)


def tokenize(text: str) -> list[str]:
    """Lower-cased words of a text without English stop words; ligatures and full-width letters are unfolded.

    Does not stem, and does not split scripts that write no spaces.

    >>> tokenize("Where's the ﬁling fee for DON'T-KNOW cases?")
    ['filing', 'fee', 'know', 'cases']
    """
    return [word for word in all_words(text) if word not in ENGLISH_STOP_WORDS]


def all_words(text: str) -> list[str]:
    """Lower-cased words of a text, all of them.

    >>> all_words("The हिन्दी for 'tea'")
    ['the', 'हिन्दी', 'for', 'tea']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    import regex  # its \w, unlike re's, holds the vowel signs of Hindi and Thai

    found: list[str] = regex.findall(_WORD, unicodedata.normalize("NFKC", text).lower())
    return found
