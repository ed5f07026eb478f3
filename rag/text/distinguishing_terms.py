"""Whether two passages in the same words say different things: at one position, each has its own name, number or code.

Manuals cut from one template share nearly all their shingles, and their vectors too. One word at the
same position tells them apart: X100 or X200, 4 kg or 6. A passage that was cut out of another, and a later version of a
paragraph, lack words, have more of them, or use other plain words; neither has another number there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import SequenceMatcher

_WORD = re.compile(r"\w+")
_ENUMERATION = re.compile(r"(?:^|(?<=[|›]))\s*(?:[A-Za-z]|\d[\d.]*)[.)]\s", re.MULTILINE)
"""The number of a heading or of a list item: it says where a passage is, not what it says."""


def words_with_case(text: str) -> list[str]:
    """Returns the words of a text with their case, without the numbers of headings and lists.

    >>> words_with_case("Staff | 3. Cleaning\\n2) Use the X100.")
    ['Staff', 'Cleaning', 'Use', 'the', 'X100']
    """
    return _WORD.findall(_ENUMERATION.sub(" ", text))


def differ_in_named_terms(one: Sequence[str], other: Sequence[str], plain: Collection[str] = frozenset()) -> bool:
    """Returns whether, between words that both share, each has a number, code or name that the other lacks.

    *one* and *other* are words with their case. A name is a word with a capital letter that is not among *plain*, the
    words that the library writes without one: the first word of a sentence is rarely a name. Numbers in letters and
    other plain words tell nothing apart. The positions are those of Ratcliff and Obershelp's matching (difflib).

    >>> x100 = "The X100 weighs 4 kg".split()
    >>> differ_in_named_terms(x100, "The X200 weighs 6 kg".split())
    True
    >>> differ_in_named_terms(x100, "The X100 weighs 4 kg without its 2 batteries".split())
    False
    >>> differ_in_named_terms("Masks help".split(), "Coverings help".split(), plain={"masks", "coverings"})
    False
    """
    ours, theirs = ({word.casefold() for word in words} for words in (one, other))
    return any(
        distinguishing_terms(mine, plain) - theirs and distinguishing_terms(yours, plain) - ours
        for mine, yours in _replaced(one, other)
    )


def distinguishing_terms(words: Iterable[str], plain: Collection[str] = frozenset()) -> frozenset[str]:
    """Returns the numbers, codes and names among the words, in lower case.

    >>> sorted(distinguishing_terms("How heavy is the X100 by Zorvex".split(), plain={"how"}))
    ['x100', 'zorvex']
    """
    folded = ((word, word.casefold()) for word in words)
    return frozenset(
        small
        for word, small in folded
        if any(sign.isdigit() for sign in word) or (small not in plain and any(sign.isupper() for sign in word))
    )


def lowercase_words(texts: Iterable[str]) -> frozenset[str]:
    """Returns the words that any of the texts writes in lower case.

    >>> sorted(lowercase_words(["The mask fits.", "Zorvex: the X100"]))
    ['fits', 'mask', 'the']
    """
    return frozenset(word for text in texts for word in set(_WORD.findall(text)) if word.islower())


def _replaced(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    ours, theirs = ([word.casefold() for word in words] for words in (one, other))
    for kind, start, end, other_start, other_end in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if kind == "replace":
            yield one[start:end], other[other_start:other_end]
