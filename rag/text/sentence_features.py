"""The words, values and names of a sentence or passage, computed once for answers, citations and abstention."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from rag.text.fact_values import extract_names, extract_values
from rag.text.sentences import Sentence, split_sentences
from rag.text.term_coverage import stem
from rag.text.tokenize import tokenize

N_TEXTS = 20_000  # about the sentences of 4,000 passages; 40 MB if every feature of each was asked for
N_PASSAGES = 4_000

_CODE = re.compile(r"\b(?=\w*[A-Za-z])(?=\w*\d)\w+\b")  # X200, 3a


@dataclass(frozen=True)
class SentenceFeatures:
    """The features of one text, each computed when it is first read. Threads may share it."""

    text: str

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Its words in lower case, without stop words."""
        return frozenset(tokenize(self.text))

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of its tokens."""
        return frozenset(map(stem, self.tokens))

    @cached_property
    def plain_stems(self) -> frozenset[str]:
        """Its stems without those that hold a digit."""
        return frozenset(term for term in self.stems if not any(map(str.isdigit, term)))

    @cached_property
    def values(self) -> frozenset[str]:
        """Its numbers and dates in one form each, with their units."""
        return extract_values(self.text)

    @cached_property
    def codes(self) -> frozenset[str]:
        """Its words of letters and digits, such as X200."""
        return frozenset(_CODE.findall(self.text))

    @cached_property
    def names(self) -> frozenset[str]:
        """Its capitalised words that do not open a sentence, in lower case."""
        return extract_names(self.text)


@lru_cache(maxsize=N_TEXTS)
def sentence_features(text: str) -> SentenceFeatures:
    """Returns the features of a text; those of the last `N_TEXTS` texts are kept.

    >>> sorted(sentence_features("The X200 pumps weigh 12 kg.").stems)
    ['12', 'kg', 'pump', 'weigh', 'x200']
    """
    return SentenceFeatures(text)


@lru_cache(maxsize=N_PASSAGES)
def passage_sentences(text: str) -> tuple[Sentence, ...]:
    """Returns the quotable stretches of a passage, as `split_sentences` does; those of the last passages are kept."""
    return tuple(split_sentences(text))
