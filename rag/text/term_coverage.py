"""Words that carry meaning, and how much of a text's meaning another text covers. Lexical evidence, no model."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from rag.text.tokenize import tokenize

LEAST_LETTERS = 6  # shorter words are never corrected: "mayor" and "major" are two words

_INFLECTION = re.compile(r"(?<=\w{3})(?:ing|ed|es|(?<!s)s)$")
_FINAL_VOWEL = re.compile(r"(?<=\w{3})[eiy]$")


def stem(word: str) -> str:
    """Returns a word in lower case without its common English ending; crude, but the same for questions and passages.

    >>> [stem(word) for word in ("Applies", "applying", "apply", "loans", "is")]
    ['appl', 'appl', 'appl', 'loan', 'is']
    """
    return _FINAL_VOWEL.sub("", _INFLECTION.sub("", word.casefold()))


def content_words(text: str) -> list[str]:
    """The stems of the words that BM25 counts, in order, with repetitions.

    >>> content_words("How do I apply for the loans?")
    ['appl', 'loan']
    """
    return [stem(word) for word in tokenize(text)]


def correct_misspellings(wanted: Sequence[str], known: Collection[str]) -> list[str]:
    """Returns the *wanted* words; one that is not *known* is replaced by a known word that is a single slip away.

    A slip is a letter that was changed, left out, added or swapped with the next one, behind the first letter of a
    word of at least LEAST_LETTERS of them (Damerau, 1964). Numbers and codes are never corrected.

    >>> correct_misspellings(["captial", "mayor", "paris", "x300"], {"capital", "major", "paris", "x200"})
    ['capital', 'mayor', 'paris', 'x300']
    """
    found = []
    for word in wanted:
        is_open = word not in known and len(word) >= LEAST_LETTERS and word.isalpha()
        found.append(next((term for term in sorted(known) if _is_a_slip(word, term)), word) if is_open else word)
    return found


def _is_a_slip(word: str, other: str) -> bool:
    if word[0] != other[:1] or abs(len(word) - len(other)) > 1 or not other.isalpha():
        return False
    start = next((at for at, (letter, two) in enumerate(zip(word, other, strict=False)) if letter != two), len(other))
    one, two = word[start:], other[start:]
    return one[1:] == two[1:] or one[1:] == two or one == two[1:] or (one[:2] == two[1::-1] and one[2:] == two[2:])


def idf_weights(texts: Iterable[Collection[str]]) -> dict[str, float]:
    """Returns the weight ln(1 + n / df), above 0, of each word of *texts* (each a collection of words).

    The inverse document frequency of Spärck Jones (1972), smoothed so that a word in every text still counts.

    >>> {word: round(weight, 2) for word, weight in sorted(idf_weights([["loan", "bank"], ["loan"]]).items())}
    {'bank': 1.1, 'loan': 0.69}
    """
    counts: Counter[str] = Counter()
    n_texts = 0
    for words in texts:
        counts.update(set(words))
        n_texts += 1
    return {word: math.log(1 + n_texts / count) for word, count in counts.items()}


def coverages(wanted: Collection[str], texts: Iterable[Collection[str]], weights: Mapping[str, float]) -> list[float]:
    """Returns the `coverage` of *wanted* by each of *texts*, in their order.

    >>> coverages(["loan", "bank"], [["loan"], []], {"loan": 0.5, "bank": 1.5})
    [0.25, 0.0]
    """
    return [coverage(wanted, words, weights) for words in texts]


def coverage(wanted: Collection[str], found: Collection[str], weights: Mapping[str, float]) -> float:
    """The share of *wanted* that is in *found*, by weight, 0 to 1; words without a weight count as the rarest.

    Returns 0 if *wanted* is empty.

    >>> round(coverage(["loan", "bank", "fee"], ["loan", "bank"], {"loan": 0.5, "bank": 1.5}), 3)
    0.571
    """
    largest = max(weights.values(), default=1.0)
    # fsum, because the order of a set differs from process to process, and stretches that cover the same must be equal
    total = math.fsum(weights.get(word, largest) for word in set(wanted))
    covered = math.fsum(weights.get(word, largest) for word in set(wanted) & set(found))
    return covered / total if total else 0.0
