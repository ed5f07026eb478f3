"""Whether a passage contains an answer: if it does it is not a negative, whatever its score."""

from __future__ import annotations

from collections.abc import Iterable

from rag.text.shingles import normalise_words

ARTICLES = ("a ", "an ", "the ")
UNINFORMATIVE_ANSWERS = frozenset({"", "yes", "no", "true", "false", "none"})
"""Answers that occur in passages about anything."""


def has_answer(passage: str, answers: Iterable[str]) -> bool:
    """Returns whether the words of any answer are in the normalised *passage* in one run; parts of words don't count.

    DPR labels passages in this way (Karpukhin et al. 2020, `has_answer`), on words without case and punctuation; an
    answer's first article is dropped, as in SQuAD's normalisation.

    >>> has_answer(normalise_words("It opened on March 18th, 2005."), ["The March 18th"])
    True
    >>> has_answer(normalise_words("It opened in the Marches."), ["March"])
    False
    """
    padded = f" {passage} "
    return any(f" {words} " in padded for words in map(answer_words, answers) if words not in UNINFORMATIVE_ANSWERS)


def answer_words(answer: str) -> str:
    """Returns an answer's normalised words without an article before them.

    >>> answer_words("The U.S. Constitution")
    'u s constitution'
    """
    words = normalise_words(answer)
    article = next((article for article in ARTICLES if words.startswith(article)), "")
    return words[len(article) :]
