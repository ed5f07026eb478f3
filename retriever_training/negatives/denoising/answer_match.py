"""Whether a passage holds an answer: then it is no negative, whatever its score."""

from __future__ import annotations

from collections.abc import Iterable

from rag.text.shingles import normalise_words

ARTICLES = ("a ", "an ", "the ")
UNINFORMATIVE_ANSWERS = frozenset({"", "yes", "no", "true", "false", "none"})
"""Answers that are in any passage, whatever it is about."""


def has_answer(passage: str, answers: Iterable[str]) -> bool:
    """Whether the words of any answer are in the passage's *plain* words, in one run; parts of words don't count.

    As DPR labels passages (Karpukhin et al. 2020, `has_answer`), on words without case and marks; an answer's first
    article is dropped, as SQuAD's normalisation does.

    >>> has_answer(normalise_words("It opened on March 18th, 2005."), ["The March 18th"])
    True
    >>> has_answer(normalise_words("It opened in the Marches."), ["March"])
    False
    """
    padded = f" {passage} "
    return any(f" {words} " in padded for words in map(answer_words, answers) if words not in UNINFORMATIVE_ANSWERS)


def answer_words(answer: str) -> str:
    """An answer's plain words without an article before them.

    >>> answer_words("The U.S. Constitution")
    'u s constitution'
    """
    words = normalise_words(answer)
    article = next((article for article in ARTICLES if words.startswith(article)), "")
    return words[len(article) :]
